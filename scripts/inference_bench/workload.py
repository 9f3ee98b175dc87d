"""What every side is asked: the same conversations, with the same limits, answered greedily."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from engine.domain import Json

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "tallybird-plans.md"
REQUESTS = 24
ANSWER_TOKENS = 48
PASSAGES = 8
PASSAGE_WORDS = 60

INSTRUCTION = (
    "You answer customers of Tallybird, which makes software for small shops. Answer at length and in whole sentences. "
    "Explain each step, give the reason for it, and end with what the customer can do next. Use this text:\n\n"
)
TOPICS = (
    "prices", "the free plan", "invoices", "refunds", "support hours", "data export", "staff accounts", "card readers",
    "cancelling", "training", "offline use", "security", "taxes", "barcodes", "gift cards", "stock lists", "loyalty points",
    "mobile phones", "printers", "several shops", "opening a till", "closing the day", "price changes", "new features",
)  # fmt: skip

PAIRS: dict[str, Json] = {
    "type": "object",
    "properties": {
        "pairs": {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "question": {"type": "string", "minLength": 10, "maxLength": 90},
                    "answer": {"type": "string", "minLength": 10, "maxLength": 160},
                },
                "required": ["question", "answer"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["pairs"],
    "additionalProperties": False,
}
"""Three question-and-answer pairs; every length is bounded, since a small model may never close a string."""


def shared_prefix() -> str:
    """An instruction with a passage, about 350 tokens."""
    words = SAMPLE.read_text(encoding="utf-8").split()
    return INSTRUCTION + " ".join(words[:185])


def shared_conversations() -> list[list[dict[str, str]]]:
    """Conversations that share about 350 tokens and differ in about 20."""
    prefix = shared_prefix()
    return [
        [
            {"role": "system", "content": prefix},
            {"role": "user", "content": f"Customer {number + 1} wants to know all about {topic}. What do you tell them?"},
        ]
        for number, topic in enumerate(TOPICS[:REQUESTS])
    ]


def passages() -> list[str]:
    """Passages to make pairs of."""
    words = SAMPLE.read_text(encoding="utf-8").split()
    step = max(1, (len(words) - PASSAGE_WORDS) // (PASSAGES - 1))
    return [" ".join(words[at : at + PASSAGE_WORDS]) for at in range(0, step * PASSAGES, step)][:PASSAGES]


def pair_conversations() -> list[list[dict[str, str]]]:
    """Conversations that ask for three pairs about a passage, as JSON."""
    task = "Write three questions that a customer may ask about this text, each with its answer, as JSON with a list `pairs`."
    return [[{"role": "user", "content": f"{task}\n\n{passage}"}] for passage in passages()]


def essay_conversations() -> list[list[dict[str, str]]]:
    """Conversations with the same passages that ask for long free text."""
    task = "Write a long essay about this text, with an introduction, many examples and details, and a conclusion."
    return [[{"role": "user", "content": f"{task}\n\n{passage}"}] for passage in passages()]


def chat_conversation(number: int) -> list[dict[str, str]]:
    """A chat's first message, about 150 tokens, unlike any other from its first word on."""
    words = SAMPLE.read_text(encoding="utf-8").split()
    start = (37 * number) % (len(words) - 90)
    return [{"role": "user", "content": f"Note {number}: {' '.join(words[start : start + 90])} What does it mean for me?"}]


def peak_memory_mb() -> float:
    """The largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(figures: dict[str, Json]) -> None:
    """Print what was measured, the last line of a side's output."""
    sys.stdout.write(json.dumps(figures) + "\n")
