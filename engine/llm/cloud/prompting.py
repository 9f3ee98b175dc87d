"""What is said to a remote model besides the conversation: the required form, the required beginning, corrections."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from engine.domain import Message
from engine.llm.base import Choice, Constraint, GenerationParams, JsonSchema, Lark, Regex, Span

_FENCED = re.compile(r"^```\w*\s*\n(.*?)\n?```$", re.DOTALL)


def with_instructions(messages: Sequence[Message], params: GenerationParams) -> list[Message]:
    """The conversation with what the parameters ask for said in words, at the end of its last message."""
    notes = []
    if params.constraint is not None:
        notes.append(_describe(params.constraint))
    if params.prefix:
        notes.append(f"Begin your answer with exactly this text: {params.prefix}")
    if not notes or not messages:
        return list(messages)
    last = messages[-1]
    return [*messages[:-1], Message(last.role, "\n\n".join([last.content, *notes]))]


def constrained_answer(constraint: Constraint, text: str) -> str:
    """The answer without the white space and the code fence that models like to put around it."""
    bare = text.strip()
    fenced = _FENCED.match(bare) if isinstance(constraint, JsonSchema) else None
    return fenced.group(1).strip() if fenced else bare


def correction(answer: str, problem: str) -> list[Message]:
    """The turns that ask for another answer after one that did not keep to its form."""
    return [
        Message("assistant", answer),
        Message("user", f"That answer cannot be used: {problem}. Answer again, with nothing but the required text."),
    ]


def _describe(constraint: Constraint) -> str:
    match constraint:
        case JsonSchema(schema):
            return f"Answer with JSON alone, valid against this JSON schema: {json.dumps(dict(schema), ensure_ascii=False)}"
        case Regex(pattern):
            return f"Answer with a text alone that matches this regular expression as a whole: {pattern}"
        case Lark(grammar):
            return f"Answer with a text alone that this grammar derives:\n{grammar}"
        case Choice(options):
            return "Answer with exactly one of these and nothing else: " + " | ".join(options)
        case Span(texts):
            return "Answer with words copied without any change from one of these, and nothing else:\n" + "\n---\n".join(texts)
