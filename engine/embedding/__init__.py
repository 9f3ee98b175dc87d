"""Sentence embeddings: the `Embedder` protocol (`base`), its strategies and their registry.

Does not live here: storing or searching vectors (`engine.vectorstore`).
"""
