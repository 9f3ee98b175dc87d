"""How often the right sentence is found, and how often an answer is claimed where there is none.

    .venv/bin/python scripts/bench_evidence.py xquad-en.json [--quick] [--json FILE]

Takes a data set in SQuAD's format. Each question is put to the paragraphs of its own article, to those of another article
(which cannot answer it), and to its own article without the paragraph that holds the answer (which hardly can).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config import PROJECT_ROOT
from engine.embedding.base import Embedder
from engine.embedding.registry import create_embedder
from engine.embedding.remembering import RememberingEmbedder
from engine.knowledge.passages import Passage
from engine.rag.evidence import gather

QUICK = 60
"""Questions with `--quick`."""


@dataclass(frozen=True)
class Item:
    """A question, the article and paragraph it is about, and the words that answer it."""

    question: str
    answer: str
    article: int
    paragraph: str


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a file in SQuAD's format")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} questions only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    articles = [[part["context"] for part in article["paragraphs"]] for article in _read(arguments.data)]
    items = _items(arguments.data)
    if arguments.quick:
        items = random.Random(1).sample(items, min(QUICK, len(items)))
    figures = measure(items, articles)
    for name, value in figures.items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(items: Sequence[Item], articles: Sequence[Sequence[str]]) -> dict[str, float | int]:
    """The shares of questions with a claimed answer in each of the three settings, and with the right sentence first."""
    embedder = RememberingEmbedder(create_embedder("all-MiniLM-L6-v2", PROJECT_ROOT / "models"))
    other = random.Random(2)
    claimed = foreign = removed = right = 0
    for item in items:
        own = articles[item.article]
        best = gather(item.question, _passages(item.question, own, embedder), embedder)[0]
        claimed += best.sufficient
        right += item.answer in best.text
        stranger = articles[other.choice([number for number in range(len(articles)) if number != item.article])]
        foreign += gather(item.question, _passages(item.question, stranger, embedder), embedder)[0].sufficient
        without = [paragraph for paragraph in own if paragraph != item.paragraph]
        removed += bool(without) and gather(item.question, _passages(item.question, without, embedder), embedder)[0].sufficient
    count = len(items)
    return {
        "questions": count,
        "answer_claimed": claimed / count,
        "claimed_from_other_article": foreign / count,
        "claimed_without_paragraph": removed / count,
        "right_sentence_first": right / count,
    }


def _passages(question: str, paragraphs: Sequence[str], embedder: Embedder) -> list[Passage]:
    vectors = embedder.embed([question, *paragraphs])
    return [
        Passage(
            source_id=str(number),
            kind="chunk",
            document_id="d",
            document="article",
            page=1,
            text=text,
            heading_path=(),
            score=float(vectors[0] @ vectors[number + 1]),
        )
        for number, text in enumerate(paragraphs)
    ]


def _read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["data"]


def _items(path: Path) -> list[Item]:
    return [
        Item(asked["question"], asked["answers"][0]["text"], number, part["context"])
        for number, article in enumerate(_read(path))
        for part in article["paragraphs"]
        for asked in part["qas"]
        if asked["answers"]
    ]


if __name__ == "__main__":
    main()
