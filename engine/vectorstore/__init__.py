"""Vector search: the `VectorStore` protocol (`base`), its strategies and their registry.

A store is an index, never the truth: what it holds can always be made again from the database.
Does not live here: embedding (`engine.embedding`), or deciding what belongs in a collection (`engine.knowledge`).
"""
