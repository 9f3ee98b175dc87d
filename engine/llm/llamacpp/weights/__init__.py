"""The weights of a model in the format that this machine computes fastest: copies, made, measured and undone.

Lives here: which format that is, the process that writes and measures a copy, what is remembered of it. Not here: loading
weights (`engine.llm.llamacpp.loading`), and whether a file is a sound model (`engine.llm.llamacpp.model_files`).
"""
