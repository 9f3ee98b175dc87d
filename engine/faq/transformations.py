"""Questions by transformation of English statements: a part of the sentence is left out and asked for, the rest stays as it is.

After Heilman and Smith, "Good Question! Statistical Ranking for Question Generation" (2010): make many, and rank them. There
is no parser here; a sentence is cut at its first verb into subject, verb and rest, and what is unclear (who or what, the base
form of a verb, a name or a word that is only capitalised as the first) is left open: each group has the forms that a question
may have, and a chat model chooses among them. How likely it finds them says whether the cut was right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from engine.faq.sentence_rules import AUXILIARIES, CLAUSE_END, PLAIN_VERBS, is_ordinary, lowered
from engine.faq.words import SPELLED_NUMBERS, word_set

_IRREGULAR = word_set(
    "wrote:write took:take made:make gave:give began:begin ran:run grew:grow knew:know found:find told:tell"
    " held:hold sent:send lost:lose built:build led:lead won:win left:leave met:meet paid:pay sold:sell spent:spend"
    " kept:keep became:become came:come went:go saw:see said:say fell:fall got:get brought:bring thought:think"
    " taught:teach stood:stand drew:draw rose:rise fought:fight bought:buy caught:catch chose:choose broke:break"
    " spoke:speak wore:wear threw:throw bore:bear sat:sit felt:feel meant:mean heard:hear dealt:deal had:have"
    " has:have have:have"
)
_BASES = dict(pair.split(":") for pair in sorted(_IRREGULAR))
_THIRD_PERSON = word_set(
    "becomes belongs causes comes consists creates defines depends describes exists follows forms gives goes grows"
    " happens helps increases involves leads links lives makes means moves occurs operates owns plays prevents"
    " produces protects reduces reflects refers releases remains represents says seeks seems serves shares shows"
    " speaks stands starts states teaches tends treats uses varies wants works writes"
)
"""Further verbs that are mostly verbs in this form; a model tells where one is a noun."""
_HAVE = ("has", "have", "had")
_ADVERBS = "also|often|then|later|first|never|only|once|still|now|(?!family|reply|supply|assembly)[a-z]+ly"
_STATEMENT = re.compile(
    rf"(?P<subject>\S.{{1,80}}?)\s(?:(?P<adverb>{_ADVERBS})\s)?"
    rf"(?P<verb>{AUXILIARIES}|{'|'.join(_BASES)}|{'|'.join(PLAIN_VERBS)}|{'|'.join(sorted(_THIRD_PERSON))}|(?!named\b)[a-z]{{2,}}ed)\s(?P<rest>.+)",
    re.DOTALL,
)
# "In 1990, …": what a sentence says first of time, place or manner.
_LEAD = re.compile(
    r"(?P<lead>(?:In|On|At|By|From|During|After|Before|Since|For|With|Under|Until|Between|As|Among|Through|Throughout|Within|Like"
    r"|Unlike|Over|Around|Near|Outside|Inside|Besides|Following|Despite|Instead|Because of|Due to|Along with|Together with"
    r"|According to|Based on|Today|Later|However|Also|So|Soon|Then|Thus|Therefore|Moreover|Furthermore|Nevertheless|Thereafter"
    r"|Afterwards|Sometimes?|Often|[A-Z][a-z]+ly)\b(?: [^,]{0,90})?),\s+"
)
_ASIDE = re.compile(r"\s?(?:\([^()]{0,160}\)|\[[^\[\]]{0,60}\])")
"""What stands in brackets is hardly ever needed for a question."""
_UNFIT_SUBJECT = re.compile(
    r"[;:(),\"“]|^\S+ly\b|^(?:of|in|on|at|by|for|with|after|before|during|from|to|as|so|over|all|any|each|every|no)\b"
    r"|\b(?:that|which|who|whose|if|when|while|because|since|although|though|where|there|to|not|it|they|he|she|we|you|i|this|these"
    r"|those|its|their|his|her|our|your|one|some|many|most|both|others?|however|named|called)\b"
    r"|\b(?:of|the|an?|and|or|in|by|for|with|common|new|former|once)$",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(?:this|these|those|such|we|our|us|you|your|it|they|he|she|them|him|later that|also)\b", re.IGNORECASE
)
_POSSESSIVE = re.compile(r"\b(?:its|their|his|her)\b", re.IGNORECASE)
"""In a question that names the subject, these mostly mean the subject's."""
_LOST_END = re.compile(
    r"\b(?:when|if|as|than|of|the|an?|and|or|to|in|by|for|with|from|on|at|that|whether|about|around|early|late)$", re.IGNORECASE
)
_MAX_SUBJECT_WORDS = 9
_REST_WORDS = range(2, 21)
_ARTICLES = word_set("the a an")

_QUANTITY = re.compile(
    r"(?:(?:over|about|around|nearly|almost|some|at least|more than|approximately|up to|only|roughly|just|fewer than"
    r"|less than)\s)?"
    rf"(?:\d[\d.,]*\s?(?:%|percent|per cent)\sof\s(?P<whole>\S.*)"
    rf"|(?:\d[\d,]*|{'|'.join(sorted(SPELLED_NUMBERS))})\s(?P<counted>(?:of\s(?:the|these|its|our)\s\S|[a-z]{{3}}).*))",
    re.IGNORECASE,
)
"""A subject that is a quantity of something."""
_PARTICIPLE = re.compile(r"(?:\w+ly )?(?:been|become|made|taken|grown|given|held|led|won|lost|built|found|\w{2,}ed)\b")
_PERSON = re.compile(
    r"(?:[a-z]{3,}(?:ers?|ors?|ists?|ians?|ants?|ents?)|(?:wo)?m[ae]n|people|members?|staff|famil(?:y|ies)|teams?|kings?|queens?"
    r"|church|committee|government|compan(?:y|ies)|council|group|army|children|adults?|guests?|poets?|mercenar(?:y|ies))"
)
_MODIFIED = re.compile(
    r"(?:(?:[Tt]he|[Aa]n?)\s)?(?P<modifier>(?!(?:the|an?)\b)\S+)(?:\s\S+){0,3}\s(?P<noun>(?!\w*(?:ly|ble|ed)$)[a-z]{3,})"
)
_OF = re.compile(r"\b(?:of|in|for|by|to|on|with|from|and|or)\b", re.IGNORECASE)

_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_YEAR = r"(?:1[0-9]|20)\d\d"
_TIME = re.compile(
    rf"\b(?:(?:in|since|until|by|during|around|about)\s(?:(?:about|early|late|mid)[\s-])?(?:the\s(?:(?:early|late|mid)[\s-])?)?"
    rf"(?:{_MONTH}\s)?(?:{_YEAR}s?|\d{{1,2}}(?:st|nd|rd|th)\scentury)"
    rf"|on\s(?:{_MONTH}\s\d{{1,2}}(?:,?\s{_YEAR})?|\d{{1,2}}\s{_MONTH}(?:\s{_YEAR})?)"
    rf"|between\s{_YEAR}\sand\s{_YEAR}|from\s{_YEAR}\s(?:to|until)\s{_YEAR})\b",
    re.IGNORECASE,
)
_PLACED = re.compile(
    r"(?P<participle>located|situated|found|held|born|based|headquartered|buried|published|built|founded|established|signed|displayed"
    r"|kept|stored|produced|made|played|spoken|grown|educated|raised)\s(?:in|at|on|near)\s(?!order\b|which\b)"
)
_AGENT = re.compile(r"(?P<passive>(?:\w+ly )?(?:been )?\w+(?:ed|en|ade|uilt|ound|eld))\sby\s(?!\w+ing\b|which\b|\d)\S.+")
_NAMED = re.compile(r"(?P<participle>called|named|known as|composed of|made of|made up of|based on|caused by|used for)\s")
_REASON = re.compile(r"\s(?:because(?: of)?|due to|owing to|as a result of|in order to)\s")
_NO_OBJECT = word_set(
    "in at on to by for from with as into through over under against out up off down back that during between only more about"
    " around after before of and or not an"
)


@dataclass(frozen=True, slots=True)
class _Statement:
    lead: str
    subject: str
    adverb: str
    verb: str
    rest: str
    """To the end of the first clause."""

    @property
    def helped(self) -> bool:
        """Whether the verb is an auxiliary one, which goes before the subject in a question."""
        return self.verb in AUXILIARIES.split("|") or (self.verb in _HAVE and bool(_PARTICIPLE.match(self.rest)))


def transformed_questions(sentence: str, context: str = "") -> Iterator[tuple[str, ...]]:
    """Questions that a statement answers, each in the forms that it may have; at most one of them is right.

    Args:
        sentence: one sentence, with its full stop.
        context: the text around it, which tells names from words that are only capitalised as the first of a sentence.
    """
    statement = _read(sentence)
    if statement is None:
        return
    if quantity := _QUANTITY.fullmatch(statement.subject):
        yield (_for_quantity(statement, quantity),)
    if _UNFIT_SUBJECT.search(statement.subject):
        return
    heads = _heads(statement, context)
    for forms in (
        *_for_subject(statement, context),
        _for_time(statement, heads),
        _for_reason(statement, heads),
        _for_part(statement, heads),
    ):
        if forms:
            yield tuple(dict.fromkeys(forms))


def _read(sentence: str) -> _Statement | None:
    """The first clause of a statement; None where its subject cannot be told, or leans on another sentence."""
    text = _ASIDE.sub("", " ".join(sentence.split())).rstrip(".!")
    lead = _LEAD.match(text)
    match = _STATEMENT.fullmatch(text, lead.end() if lead else 0)
    if match is None or len(match["subject"].split()) > _MAX_SUBJECT_WORDS:
        return None
    rest = CLAUSE_END.split(match["rest"], maxsplit=1)[0].strip()
    if match["verb"].endswith("ed") and rest.startswith("by "):
        return None  # "a committee headed by …": no verb of its own
    if not rest or _LOST_END.search(rest) or _POINTS_BACK.search(rest):
        return None
    return _Statement(lead["lead"] if lead else "", match["subject"], match["adverb"] or "", match["verb"], rest)


def _for_quantity(statement: _Statement, quantity: re.Match[str]) -> str:
    """ "Over 10 % of the members voted." gives "What percentage of the members voted?"."""
    asked = f"What percentage of {quantity['whole']}" if quantity["whole"] else f"How many {quantity['counted']}"
    return " ".join(filter(None, (asked, statement.adverb, statement.verb, statement.rest))) + "?"


def _for_subject(statement: _Statement, context: str) -> Iterator[list[str]]:
    """ "Gustave Eiffel built the tower." gives "Who built the tower?"."""
    if len(statement.rest.split()) in _REST_WORDS and not _POSSESSIVE.search(statement.rest):
        told = " ".join(filter(None, (statement.adverb, statement.verb, statement.rest)))
        for asked in _who_or_what(statement.subject, context):
            yield [f"{word} {told}?" for word in asked]


def _who_or_what(subject: str, context: str) -> Iterator[tuple[str, ...]]:
    """What asks for a subject. Whether a name is a person's only shows in the whole question, so that both are tried."""
    modified = None if _OF.search(subject) else _MODIFIED.fullmatch(subject)
    which = (f"Which {modified['noun']}",) if modified and subject.split()[0].lower() in _ARTICLES else ()
    noun = subject.split()[-1]
    if _PERSON.fullmatch(noun.lower()):
        yield ("Who", *which)
    elif noun.islower() or (" " not in subject and is_ordinary(subject, context)):
        yield ("What", *which)
    else:
        yield ("Who",)
        yield ("What", *which)


def _heads(statement: _Statement, context: str) -> list[str]:
    """What a question about the rest begins with, after its question word: "did Gustave Eiffel build"."""
    subject = statement.subject
    names = [subject if statement.lead else lowered(subject, context)]
    unsure = subject[1:] != subject[1:].lower() or (" " not in subject and subject.lower() not in context)
    if unsure and names != [subject] and subject.split()[0].lower() not in _ARTICLES:
        names.append(subject)  # "Athens" and "Abu al-Qasim", but "returns" and "common uses in Athens"
    if statement.helped:
        return [f"{statement.verb} {name}" for name in names]
    return [f"{_do(statement.verb)} {name} {base}" for name, base in product(names, _bases(statement.verb))]


def _do(verb: str) -> str:
    if verb in ("have", *PLAIN_VERBS.values()):
        return "do"
    return "does" if verb == "has" or verb in PLAIN_VERBS or verb in _THIRD_PERSON else "did"


def _bases(verb: str) -> tuple[str, ...]:
    """The base forms that an inflected verb may have: "released" is of "release", and could be of "releas"."""
    known = _BASES.get(verb) or PLAIN_VERBS.get(verb)
    if known:
        return (known,)
    if verb.endswith(("ied", "ies")):
        return (f"{verb[:-3]}y",)
    if verb in _THIRD_PERSON:
        return (verb[:-2] if verb.endswith("oes") else verb[:-1],)
    stem = verb.removesuffix("ed")
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "se":
        return (stem, stem[:-1])
    return (stem, f"{stem}e")


def _for_time(statement: _Statement, heads: list[str]) -> list[str]:
    """ "In 1889, he built it." and "He built it in 1889." give "When did he build it?"."""
    found = _TIME.search(statement.rest)
    if found is None and not _TIME.search(statement.lead):
        return []
    told = statement.rest[: found.start()].strip() if found else statement.rest
    if _LOST_END.search(told) or len(told.split()) >= _REST_WORDS.stop or (statement.helped and not told):
        return []
    if found and " " in told and _PARTICIPLE.fullmatch(told.split()[-1]) and not _PARTICIPLE.fullmatch(told):
        return []  # "replaced a market built in 1808": the time of something else
    return [f"When {head} {told}".rstrip() + "?" for head in heads]


def _for_reason(statement: _Statement, heads: list[str]) -> list[str]:
    parts = _REASON.split(statement.rest, maxsplit=1)
    if len(parts) == 1 or _LOST_END.search(parts[0]):
        return []
    return [f"Why {head} {parts[0]}?" for head in heads]


def _for_part(statement: _Statement, heads: list[str]) -> list[str]:
    """The question for who did it, for the place, or for what comes after the verb."""
    rest = statement.rest
    if statement.helped:
        if found := _AGENT.fullmatch(rest):
            return [f"{asked} {head} {found['passive']} by?" for head in heads for asked in ("Who", "What")]
        if (found := _PLACED.match(rest)) and not _TIME.match(rest, found.end("participle") + 1):
            return [f"Where {head} {found['participle']}?" for head in heads]
        named = _NAMED.match(rest)
        return [f"What {head} {named['participle']}?" for head in heads] if named else []
    first = rest.split()[0].lower()
    if statement.verb in _HAVE or first in _NO_OBJECT or first.endswith("ly"):
        return []
    asked = ("What", "Who") if rest[0].isupper() else ("What",)
    return [f"{word} {head}?" for head in heads for word in asked]
