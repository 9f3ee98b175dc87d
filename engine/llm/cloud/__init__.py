"""Chat models behind an interface on the network: cloud providers and OpenAI-compatible servers, through litellm.

Lives here: `LiteLlmModel`, the gate that bounds the requests to a provider, retries, prices and the month's budget, the
translation of provider errors, and the look-up of keys. Keys come from the environment at the moment of a request; they are
never stored, logged or shown. litellm is imported with the first request (about 5 s).
"""

from engine.llm.cloud.budget import Budget
from engine.llm.cloud.model import LiteLlmModel
from engine.llm.cloud.prices import TokenPrice

__all__ = ["Budget", "LiteLlmModel", "TokenPrice"]
