"""What FAQ extraction finds, how good its questions are, and how fast it is.

    .venv/bin/python scripts/bench_faq.py [SQUAD.json …] [--part even|odd|all] [--quick] [--json FILE] [--pairs FILE] [--speed]

Takes data sets in SQuAD's format, and always the sample documents. Coverage is the share of the spans that people asked
about which lie in the quote of a pair that is shown to the reviewer. Thresholds were tuned on articles with even numbers;
`--part odd`, the default, has the others.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.config import PROJECT_ROOT, load_settings  # noqa: E402
from engine.embedding.base import Embedder  # noqa: E402
from engine.embedding.registry import create_embedder  # noqa: E402
from engine.hardware import inspect_hardware  # noqa: E402
from engine.llm.base import ChatModel  # noqa: E402
from engine.llm.registry import create_chat_model  # noqa: E402
from scripts.faq_bench import high_level, measures  # noqa: E402
from scripts.faq_bench.data import PARTS, Article, read_squad, samples  # noqa: E402
from scripts.faq_bench.ours import Extracted, chunks_of, extract, pairs_of  # noqa: E402

Figures = dict[str, float]
SPEED_CHUNKS = 12
"""Chunks of each article that both sides are given."""
SPEED_ARTICLES = 1
"""Articles of each set that they are taken from, in one go each: a document's passages share batches."""
QUICK = 3
"""Articles of each set with `--quick`."""


def main() -> None:
    """Read the arguments, measure, print."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings().model_copy(update={"home": Path(folder)})
        model = create_chat_model(
            settings.default_model, settings=settings, resolve=lambda name: PROJECT_ROOT / "models" / f"{name}.gguf"
        )
        embedder = create_embedder("all-MiniLM-L6-v2", PROJECT_ROOT / "models")
        try:
            results = {name: _measure(name, articles, model, embedder, given) for name, articles in _sets(given)}
            if given.speed:
                results["speed"] = {name: _speed(name, articles, model, embedder, given) for name, articles in _sets(given)}
        finally:
            model.close()
    if given.json:
        given.json.write_text(json.dumps({"load": list(os.getloadavg()), "sets": results}, indent=1) + "\n", encoding="utf-8")


def _sets(given: argparse.Namespace) -> list[tuple[str, Sequence[Article]]]:
    named = [(f"{path.stem} ({given.part})", read_squad(path, given.part)) for path in given.data]
    named = [(name, articles[: QUICK if given.quick else given.articles]) for name, articles in named]
    return [*named, ("samples", list(samples()))]


def _measure(
    name: str, articles: Sequence[Article], model: ChatModel, embedder: Embedder, given: argparse.Namespace
) -> dict[str, Figures]:
    each = {}
    found: list[Extracted] = []
    for article in articles:
        extracted = extract(article, model, embedder)
        found.append(extracted)
        each[article.name] = _figures([extracted], embedder)
        print(f"  {article.name[:36]:36} {_line(each[article.name])}", file=sys.stderr, flush=True)
        if given.pairs:
            _write_pairs(given.pairs, extracted)
    each["all"] = _figures(found, embedder)
    reasons = Counter(pair.reason for extracted in found for pair in extracted.rejected)
    print(f"\n{name}\n{_line(each['all'])}\n  rejected: {dict(reasons.most_common())}\n", flush=True)
    return each


def _speed(name: str, articles: Sequence[Article], model: ChatModel, embedder: Embedder, given: argparse.Namespace) -> Figures:
    """Pairs a minute of both sides over the same chunks of some articles; the sides take turns."""
    documents = [chunks_of(article, model)[:SPEED_CHUNKS] for article in articles[:SPEED_ARTICLES]]
    path = PROJECT_ROOT / "models" / f"{load_settings().default_model}.gguf"
    threads = inspect_hardware().physical_cores
    rounds: list[Figures] = []
    for _ in range(1 if given.quick else 3):
        made = proved = asked = 0
        ours_s = theirs_s = 0.0
        for chunks in documents:
            started = time.perf_counter()
            shown, _rejected = pairs_of(chunks, model, embedder)
            ours_s += time.perf_counter() - started
            made += len(shown)
            found = high_level.ask(path, chunks, threads)
            asked, proved, theirs_s = asked + found.pairs, proved + found.proved, theirs_s + found.seconds
        rounds.append(
            {
                "ours_per_minute": 60 * made / ours_s,
                "high_level_per_minute": 60 * asked / theirs_s,
                "high_level_proved_per_minute": 60 * proved / theirs_s,
                "speed_vs_high_level": (made / ours_s) / max(asked / theirs_s, 1e-9),
            }
        )
        print(f"  speed, {name}: {_line(rounds[-1])}", file=sys.stderr, flush=True)
    figures = {figure: statistics.median(found[figure] for found in rounds) for figure in rounds[0]}
    print(f"speed, {name}\n{_line(figures)}\n", flush=True)
    return figures


def _figures(found: Sequence[Extracted], embedder: Embedder) -> Figures:
    shown = [pair for extracted in found for pair in extracted.shown]
    golds = sum(len(extracted.article.golds) for extracted in found)
    words = sum(extracted.article.words for extracted in found)
    trips = [trip for extracted in found for trip in measures.finds_its_quote(extracted, embedder)]
    alone = [measures.stands_alone(pair) for pair in shown]
    doubles = [measures.duplicates(extracted.shown, embedder) for extracted in found]
    seconds = sum(extracted.seconds for extracted in found)
    figures: Figures = {
        "pairs": len(shown),
        "pairs_per_1000_words": 1000 * len(shown) / words,
        "without_proof": sum(map(measures.without_proof, found)),
        "stand_alone": _share(alone),
        "round_trip": _share(trips),
        "both": _share([left and right for left, right in zip(alone, trips, strict=True)]),
        "same_question": sum(same for same, _ in doubles),
        "near_question": sum(near for _, near in doubles),
        "pairs_per_minute": 60 * len(shown) / seconds,
        "seconds": seconds,
    }
    if golds:
        figures["coverage"] = sum(map(measures.covered, found)) / golds
        figures["pairs_to_gold"] = len(shown) / golds
    return figures


def _share(values: Sequence[bool]) -> float:
    return statistics.fmean(values) if values else 0.0


def _line(figures: Figures) -> str:
    return "  ".join(f"{name} {value:.2f}" if value % 1 else f"{name} {value:.0f}" for name, value in figures.items())


def _write_pairs(path: Path, extracted: Extracted) -> None:
    with path.open("a", encoding="utf-8") as file:
        for pair in (*extracted.shown, *extracted.rejected):
            candidate = pair.candidate
            row = {
                "article": extracted.article.name,
                "status": pair.status.value,
                "origin": candidate.origin.value,
                "score": round(pair.score, 3),
                "question": candidate.question,
                "answer": candidate.answer,
                "reason": pair.reason,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*", help="files in SQuAD's format")
    parser.add_argument("--part", choices=PARTS, default="odd")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} articles of each set only")
    parser.add_argument("--articles", type=int, metavar="N", help="the first N articles of each set only")
    parser.add_argument("--speed", action="store_true", help="also against asking one chunk at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="append the pairs there, a line of JSON each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
