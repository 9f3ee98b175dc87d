"""Pages of pairs to read and to publish: Markdown, HTML, and the data that search engines read. Nothing in them runs."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator

from engine.domain import FaqPair, Json

TITLE = "Questions and answers"

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&$@^])")
_LINK = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=www)\.", re.IGNORECASE)
_MARKDOWN_START = re.compile(r"^(?:(?=[-+=])|(\d{1,9})(?=[.)]))")
_LINES = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")

_STYLE = """
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c2526; background: #fff; }
body { font: 1rem/1.6 system-ui, sans-serif; }
h1 { line-height: 1.2; }
h2 { font-size: 1.2rem; line-height: 1.35; margin-bottom: .4rem; }
a { color: #1f5a60; }
article { border-top: 1px solid #ccd5d6; padding-top: .5rem; }
.answer, blockquote { white-space: pre-line; overflow-wrap: anywhere; }
figure { margin: .75rem 0; }
blockquote { margin: 0; padding-left: .8rem; border-left: .25rem solid #2f5d62; }
figcaption, details { font-size: .9rem; color: #4b5a5c; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem; }
dd { margin: 0; }
@media print { nav, details { display: none; } article { break-inside: avoid; } body { margin: 0; max-width: none; } }
"""


def to_markdown(pairs: Iterable[FaqPair]) -> str:
    """A page to read: a heading for each question, the answer, and the quote with its source. Nothing in it is live markup."""
    return "\n".join([f"# {TITLE}\n", *map(_markdown, pairs)])


def to_html(pairs: Iterable[FaqPair]) -> str:
    """A page to publish: it stands alone, loads nothing, runs nothing, and can be read aloud and printed."""
    listed = list(pairs)
    languages = {pair.language for pair in listed}
    language = _language(languages.pop()) if len(languages) == 1 else ""
    contents = "".join(
        f'<li><a href="#q{number}" dir="auto">{_escaped(pair.question)}</a></li>\n'
        for number, pair in enumerate(listed, start=1)
    )
    navigation = f'<nav aria-label="Questions">\n<ol>\n{contents}</ol>\n</nav>\n' if listed else ""
    articles = "".join(_article(number, pair) for number, pair in enumerate(listed, start=1))
    return (
        f'<!DOCTYPE html>\n<html{language}>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{TITLE}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{TITLE}</h1>\n"
        f"{navigation}<main>\n{articles}</main>\n</body>\n</html>\n"
    )


def to_json_ld(pairs: Iterable[FaqPair]) -> str:
    """A schema.org FAQPage, to be put into a page's `<script type="application/ld+json">` as it is.

    The answer is HTML, as schema.org's readers take it: escaped, with line breaks. The quote is the answer's `citation`; what
    schema.org has no word for has the prefix `nexus`. https://schema.org/FAQPage
    """
    page: dict[str, Json] = {
        "@context": ["https://schema.org", {"nexus": "urn:ai-nexus:faq:"}],
        "@type": "FAQPage",
        "mainEntity": [_question(pair) for pair in pairs],
    }
    text = json.dumps(page, ensure_ascii=False, indent=2)
    # So that no text ends the script element that this is put into.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{text}\n"


def _markdown(pair: FaqPair) -> str:
    blocks = [f"## {_plain(' '.join(_lines(pair.question)))}", "\\\n".join(map(_plain, _lines(pair.answer)))]
    if pair.quote:
        blocks.append("\\\n".join(f"> {_plain(line)}" for line in _lines(pair.quote)))
    about = "; ".join(f"{name}: {value}" for name, value in _about(pair))
    source = " ".join(_lines(f"Source: {_source(pair)}. {about}."))
    return "\n\n".join([*blocks, _plain(source)]) + "\n"


def _plain(line: str) -> str:
    """A line that Markdown shows as it is, addresses not as links."""
    escaped = _LINK.sub(r"\\\g<0>", _MARKDOWN.sub(r"\\\1", line))
    return _MARKDOWN_START.sub(lambda match: f"{match[1] or ''}\\", escaped, count=1)


def _article(number: int, pair: FaqPair) -> str:
    about = "".join(f'<dt>{name}</dt><dd dir="auto">{_escaped(value)}</dd>\n' for name, value in _about(pair))
    quote = f'<blockquote dir="auto">{_escaped(pair.quote)}</blockquote>\n' if pair.quote else ""
    return (
        f'<article id="q{number}"{_language(pair.language)}>\n<h2 dir="auto">{_escaped(pair.question)}</h2>\n'
        f'<p class="answer" dir="auto">{_escaped(pair.answer)}</p>\n'
        f'<figure>\n{quote}<figcaption dir="auto">{_escaped(_source(pair))}</figcaption>\n</figure>\n'
        f"<details>\n<summary>About this answer</summary>\n<dl>\n{about}</dl>\n</details>\n</article>\n"
    )


def _question(pair: FaqPair) -> Json:
    answer: dict[str, Json] = {
        "@type": "Answer",
        "text": "<br>".join(html.escape(_shown(pair.answer), quote=False).split("\n")),
    }
    if pair.quote:
        source: dict[str, Json] = {"@type": "DigitalDocument", "name": pair.document}
        answer["citation"] = {"@type": "Quotation", "text": pair.quote, "isPartOf": source}
    place: Json = None
    if pair.place is not None:
        place = {"start": pair.place.start, "end": pair.place.end, "boxes": [list(box) for box in pair.place.boxes]}
    question: dict[str, Json] = {
        "@type": "Question",
        "name": pair.question,
        "acceptedAnswer": answer,
        "nexus:document": pair.document,
        "nexus:page": pair.page,
        "nexus:heading": pair.heading,
        "nexus:score": pair.score,
        "nexus:parts": dict(pair.parts),
        "nexus:status": pair.status.value,
        "nexus:model": pair.model,
        "nexus:origin": pair.origin,
        "nexus:place": place,
    }
    if _LANGUAGE.fullmatch(pair.language):
        question["inLanguage"] = pair.language
    return question


def _source(pair: FaqPair) -> str:
    page = f", page {pair.page}" if pair.page is not None else ""
    return " — ".join(part for part in (f"{pair.document}{page}", pair.heading) if part) or "no document"


def _about(pair: FaqPair) -> Iterator[tuple[str, str]]:
    """What else is known of a pair, by name."""
    parts = ", ".join(f"{name} {value:.2f}" for name, value in pair.parts.items())
    yield "Score", f"{pair.score:.2f}" + (f" ({parts})" if parts else "")
    yield "Status", pair.status.value
    for name, value in (("Model", pair.model), ("Origin", pair.origin), ("Language", pair.language)):
        if value:
            yield name, value
    if pair.place is not None:
        yield "Place", f"characters {pair.place.start} to {pair.place.end} of the page"


def _language(code: str) -> str:
    return f' lang="{code}"' if _LANGUAGE.fullmatch(code) else ""


def _escaped(text: str) -> str:
    return html.escape(_shown(text))


def _shown(text: str) -> str:
    """A text without control characters, its lines ended by line feeds."""
    return "\n".join(
        "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs") or c == "\t") for line in _LINES.split(text)
    )


def _lines(text: str) -> list[str]:
    """The lines of a text that are not empty, with single spaces."""
    lines = (" ".join(line.split()) for line in _shown(text).split("\n"))
    return [line for line in lines if line]
