"""What lies in the models folder: reading model files' own metadata, listing, adding, removing and pulling them, the defaults.

Does not live here: loading a model (`engine.llm`, `engine.embedding`), adapters, which belong to a home (`engine.training`).
"""
