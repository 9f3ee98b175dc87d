"""Whether a model file or an adapter may be given to llama.cpp, which trusts what it reads.

Lives here: the checks of a file's header, the process in which an unknown file is loaded for the first time, and what is
remembered of files that passed. Not here: the reader of GGUF headers (`engine.model_registry.gguf_file`).
"""
