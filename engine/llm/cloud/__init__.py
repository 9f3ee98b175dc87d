"""Chat models behind an interface on the network: cloud providers and OpenAI-compatible servers, through litellm.

Lives here: `LiteLlmModel`, the translation of provider errors, and the look-up of keys. Keys come from the environment at
the moment of a request; they are never stored, logged or shown. litellm is imported with the first request (about 5 s).
"""

from engine.llm.cloud.model import LiteLlmModel

__all__ = ["LiteLlmModel"]
