"""Answers from a collection's documents, each with the quotes that prove it.

Lives here: choosing the sentences that speak to a question (`evidence`), asking a model to write from them (`writing`),
checking what it wrote (`grounding`), the answers that can be given (`answers`), and the way from question to answer
(`pipeline`). Not here: finding passages (`engine.knowledge`), conversations (`engine.agents`, `engine.chat`).
"""

from engine.rag.answers import NOT_FOUND
from engine.rag.pipeline import RagPipeline

__all__ = ["NOT_FOUND", "RagPipeline"]
