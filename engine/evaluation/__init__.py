"""Measuring which choice is best: base model, fine-tuned model or RAG, on questions whose answers are known.

Lives here: the figures (`metrics`), the held-out split (`split`) and the run over several targets (`evaluate`).
Does not live here: how a target answers (`engine.llm`, `engine.rag`), and jobs (`engine.handlers`).
"""

from engine.evaluation.evaluate import EvaluationReport, Example, ExampleScore, TargetReport, evaluate
from engine.evaluation.split import held_out

__all__ = ["EvaluationReport", "Example", "ExampleScore", "TargetReport", "evaluate", "held_out"]
