"""The local runtime: chat models in GGUF files, decoded by llama.cpp inside this process.

Lives here: everything that touches llama.cpp's low-level interface. One decode thread owns the weights and the contexts of
a model (`scheduler`); other threads hand it requests. In packages of their own: checks of model files (`model_files`), copies
in faster formats (`weights`), chat templates (`prompting`). Not here: what is asked of a model, and how model files are listed.
"""

from engine.llm.llamacpp.model import LlamaCppModel

__all__ = ["LlamaCppModel"]
