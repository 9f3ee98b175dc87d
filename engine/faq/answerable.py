"""Whether a quote has what its question asks for, and the question not. By the words alone, and for English questions."""

from __future__ import annotations

import re

from engine.faq.types import Candidate
from engine.faq.words import content_stems, numbers, stem, word_set, words

_MISSING = "The quote does not have what the question asks for."
_GIVEN = "The question has its answer in it."

_FITTING: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(asked, re.IGNORECASE), re.compile(needed))
    for asked, needed in (
        (
            r"when\b",
            r"(?i:\b\d{1,2}[:.]\d\d\b|\b(?:[ap]\.?m\b|1\d\d\d|20\d\d|noon|midnight|before|after|until|since|daily|century|days?\b|\w+day\b"
            r"|january|february|march|april|may|june|july|august|september|october|november|december))",
        ),
        (
            r"how long\b",
            r"(?i:\b(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?|centur\w+|k?m|metres?|miles?)\b)",
        ),
        (r"how often\b", r"(?i:\b(?:every|each|once|twice|times|daily|weekly|monthly|yearly|annual\w*|always|never|per)\b)"),
        (r"how much\b", r"\d|(?i:\bfree\b)"),
        (r"who(?:m|se)?\b", r"\b[A-Z]\w+|(?i:\b(?:adults?|members?|customers?|guests?|staff|we|you|person|people|everyone)\b)"),
        (r"where\b", r"(?i:\b(?:in|at|on|near|behind|beside|under|between|from|to|into|outside|inside)\b)"),
        (
            r"how (?:do|does|did|can|could|is|are|was|were|may|must|should|will|would)\b",
            r"(?i:\b(?:by|through|via|using|with|without|because|so that|thus|due to|in order|can|must|should|may)\b)"
            r"|^[A-Z][a-z]+ (?:and [a-z]+ )?(?:the|a|an|your|all|any|on|off|to|at|for)\b",
        ),
        (
            r"what (?:do|does|did) .*\b(?:mean|stand for|refer to)\?",
            r"(?i:\b(?:mean(?:s|t|ing)?|stands? for|refers?|defined|called|known|short for|abbreviat\w*|equals?)\b)",
        ),
        (r"why\b", r"(?i:\b(?:because|since|so|due|as|reason|to|therefore)\b)"),
    )
)
"""A question's first words, and what the quote must have to answer it."""

_HOW_MANY = re.compile(r"how many (?P<noun>\w+)", re.IGNORECASE)
_COUNTED_WITHIN = 2
"""So many words may stand between a number and the noun that it counts."""

_TIMES = re.compile(
    r"\b(?:\d{1,2}[:.]\d\d|\d{3,4}s?|\d{1,2}(?:st|nd|rd|th)?|noon|midnight|daily|weekly|monthly|yearly|annually|\w+day|century"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_FIGURES: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (re.compile(r"(?:when|(?:in |since |until )?(?:what|which) year)\b", re.IGNORECASE), _TIMES),
    (re.compile(r"how (?:many|much|long|often|old|far|big|large|tall|high)\b", re.IGNORECASE), re.compile(r"\d+(?:[.,:]\d+)*")),
)
"""A question's first words, and what its answer is among."""

_WHAT_DOES = re.compile(
    r"what (?:did|does|do|has|have|had|can|could|must|may|will|would|should) (?!(?:be|cause|happen|make|help|identified)\b)"
    r"(?!.*\b(?:do|about)\b)",
    re.IGNORECASE,
)
_TOLD = 3
"""So many last words are compared."""
_WHAT_IS = re.compile(r"what (?:is|are|was|were) (?:(?:the|an?) )?(?P<noun>.+)\?", re.IGNORECASE)
_SAYS_WHAT = word_set(
    "is are was were be been means mean refers refer called named known defined consists includes include contains"
)
_ASIDE = re.compile(r"\([^()]{0,300}\)")
_WHOLE = 3
_DEFINED_WITHIN = 4
_DEFINED_SHARE = 0.6
"""The verb stands so near to what is asked for, and so much of its words must be there."""

_WHO_IS_A_THING = re.compile(r"(?i:who (?:is|are|was|were)) the [A-Z]")
"""Names of persons have no article: "Who was the Black Death?"."""


def fits_kind(candidate: Candidate, _page_text: str) -> str:
    """Whether the quote has what the question asks for: a time for "when", a number of something for "how many"."""
    question, quote = candidate.question, candidate.quote
    if _WHO_IS_A_THING.match(question):
        return _MISSING
    if any(asked.match(question) and not needed.search(quote) for asked, needed in _FITTING):
        return _MISSING
    counted = _HOW_MANY.match(question)
    if counted and not _counts(quote, counted["noun"]):
        return _MISSING
    return ""


def _counts(quote: str, noun: str) -> bool:
    """Whether the quote gives a number of this noun: "88 tackles", "tackles (118)"."""
    found = words(quote)
    places = [at for at, word in enumerate(found) if stem(word) == stem(noun)]
    near = (found[max(0, at - 1 - _COUNTED_WITHIN) : at + 2 + _COUNTED_WITHIN] for at in places)
    return any(numbers(" ".join(window)) for window in near)


def leaves_an_answer(candidate: Candidate, _page_text: str) -> str:
    """Whether the quote has a time or a number, where that is asked for, which the question does not have itself."""
    question, quote = candidate.question, candidate.quote
    for asked, figure in _FIGURES:
        if asked.match(question):
            told = {match.group().lower() for match in figure.finditer(question)}
            found = {match.group().lower() for match in figure.finditer(quote)}
            return _GIVEN if found and found <= told else ""
    return ""


def leaves_an_object(candidate: Candidate, _page_text: str) -> str:
    """Whether "What did they eat?" leaves something to eat: not so when it goes on with the quote's words to a clause's end."""
    if not _WHAT_DOES.match(candidate.question):
        return ""
    told = words(candidate.question)[-_TOLD:]
    if len(told) < _TOLD:
        return ""
    to_the_end = r"\W+".join(map(re.escape, told)) + r"\W*(?:[,;.:!?)]|\bfollowed\b|$)"
    return _GIVEN if re.search(to_the_end, candidate.quote, re.IGNORECASE) else ""


def defined(candidate: Candidate, _page_text: str) -> str:
    """Whether the quote says what something is, where that is asked for: "X is a …", "a … is the X", "X, a …"."""
    asked = _WHAT_IS.fullmatch(candidate.question)
    wanted = content_stems(asked["noun"]) if asked else set()
    if asked is None or not wanted:
        return ""
    found = words(_ASIDE.sub("", candidate.quote))
    stems = [stem(word) for word in found]
    reach = len(words(asked["noun"])) + _DEFINED_WITHIN
    for at, word in enumerate(found):
        if word.lower() in _SAYS_WHAT:
            before, after = set(stems[max(0, at - reach) : at]), set(stems[at + 1 : at + 1 + reach])
            if found[at + 1 : at + 2] and found[at + 1].endswith("ed"):
                before = set()  # "refunds are issued" says what happens to them
            if max(len(wanted & before), len(wanted & after)) >= _DEFINED_SHARE * len(wanted):
                return ""
    if len(wanted) >= _WHOLE and wanted <= set(stems) and numbers(candidate.quote):
        return ""  # "the total area of … rose to 5 km²"
    head = words(asked["noun"])[-1]
    if re.search(rf"\b{re.escape(head)}(?:,| \(| –| -) ?(?:an?|the|one|which)\b", candidate.quote, re.IGNORECASE):
        return ""
    return _MISSING
