"""What a collection knows, and how it is found.

Lives here: taking documents in (`documents`), the search index that is derived from documents and approved FAQ pairs
(`index`), and the words that carry a text's content (`terms`). Not here: reading files (`engine.ingest`), storing vectors
(`engine.vectorstore`), answering (`engine.rag`).
"""
