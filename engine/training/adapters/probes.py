"""Conversations that no adapter has learnt by heart, on which an adapter is compared with what it was made from.

What a model has learnt by heart it predicts with certainty, and a wrong conversion does not show there (`parity` has figures).
These are plain texts on many subjects, in several languages, in which the next word is open.
"""

from __future__ import annotations

from engine.training.datasets.encoding import ChatEncoder, EncodedExample
from engine.training.datasets.examples import TrainingExample

CONVERSATIONS = (
    (
        "Describe a walk along the harbour in the early morning.",
        "The boats lie still, and a thin fog hangs over the water. Two fishermen mend their nets while a dog waits for scraps.",
    ),
    (
        "How do I keep a bicycle in good order?",
        "Clean the chain every month, check the brakes before a long ride, and keep the tyres at the pressure on their side.",
    ),
    (
        "Why did prices rise that year?",
        "A poor harvest made grain scarce, transport cost more than before, and several banks stopped lending to small firms.",
    ),
    (
        "What is the difference between a list and a set?",
        "A list keeps its order and may hold the same value twice; a set has no order, and each value occurs in it once.",
    ),
    (
        "Wie wird das Wetter am Wochenende?",
        "Am Samstag bleibt es trocken und windig, am Sonntag ziehen von Westen Wolken auf, und am Abend regnet es.",
    ),
    (
        "¿Qué recomienda para una cena sencilla?",
        "Una sopa de verduras con pan tostado, queso fresco y aceitunas; de postre, unas naranjas con canela.",
    ),
)
"""Questions and answers, some 30 tokens an answer."""


def probe_examples(encoder: ChatEncoder) -> list[EncodedExample]:
    """The conversations as the tokens of a model."""
    return [encoder.encode_example(TrainingExample.from_pair(question, answer)) for question, answer in CONVERSATIONS]
