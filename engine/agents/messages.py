"""What kind of message a customer wrote, and what in it is a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from engine.agents.found import Found
from engine.agents.words import NOT_A_VALUE, word_set


class Intent(StrEnum):
    """What a message is about, as far as the agent's answer depends on it."""

    GREETING = "greeting"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    AGREEMENT = "agreement"
    DECLINE = "decline"
    DETAILS = "details"
    QUESTION = "question"


_END = r"(?:[\s,!.:)🙂😊👋-]|\b(?:there|all|everyone|again|everybody|team|folks|sir|madam)\b)*"
_HELLO = r"(?:hi|hello|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|hola|bonjour|hallo|guten tag)"
_THANK = (
    r"(?:(?:many |ok(?:ay)?,? |great,? |perfect,? |no,? )?(?:thanks|thank you|thx|cheers|ta)"
    r"(?: (?:a lot|so much|very much|again|for (?:your|the) (?:help|answer|info|information|reply)))?)"
)
_BYE = (
    r"(?:(?:good)?bye(?: bye| for now)?|see you(?: later| soon)?|have a (?:nice|good|great) (?:day|one|weekend)|"
    r"that(?:'s| is) all)"
)
_SMALL_TALK: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (Intent.GOODBYE, re.compile(rf"(?:(?:{_THANK}|ok(?:ay)?|no)[\s,.!]*)*{_BYE}{_END}(?:{_THANK}{_END})?", re.I)),
    (Intent.THANKS, re.compile(rf"{_THANK}{_END}", re.I)),
    (Intent.GREETING, re.compile(rf"{_HELLO}\b{_END}(?:how are you(?: doing)?(?: today)?\??)?{_END}", re.I)),
    (
        Intent.AGREEMENT,
        re.compile(
            rf"(?:yes|yeah|yep|sure|ok(?:ay)?|alright|great|perfect|fine|good|of course|why not|got it)(?: please)?{_END}", re.I
        ),
    ),
)
_LONGEST_SMALL_TALK = 80
"""Characters; who writes more says something."""

_NOT_WILLING = r"(?:don['’]?t|do not|won['’]?t|will not|not going to|not gonna)"
_GIVE = r"(?:give|share|tell|leave|provide|say)"
_REFUSAL = re.compile(
    rf"\b(?:(?:i['’]?d |i would |i['’]?ll )?(?:rather|prefer) not|not comfortable|none of your business|stop asking|"
    rf"{_NOT_WILLING} (?:want|wish|like|need|care|{_GIVE})(?: to {_GIVE})?(?: you)? (?:my|any|that|it|this|out|contact)|"
    r"that['’]?s private|keep (?:it|that|this) private|(?:stay|remain) anonymous|why do you (?:need|want|ask)|"
    r"no need for (?:that|my))",
    re.I,
)
_NO = re.compile(
    r"\s*(?:no|nope|nah|not now|not yet|skip|later|maybe later|never mind|nevermind)\b(?![^.,!;]*\b(?:name|number|mail)\b)",
    re.I,
)
_BARE_NO = re.compile(
    r"(?:no|nope|nah|not now|not yet|skip(?: it| this)?|later|maybe later|never ?mind|no,? (?:thanks|thank you)|nothing)"
    r"[\s.!,]*",
    re.I,
)

_FILLER = word_set(
    "contact reach email e-mail mail phone telephone mobile cell number name address details detail company call text write "
    "ring work works working please noted whatsapp new change changed update updated correct correction speaking regards "
    "best kind interested sign lead info information given here's name's i'd like typo mistake oops add full first last under "
    "organisation organization firm employer title ceo cto founder back directly anytime time"
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_OPENING = re.compile(
    rf"^(?:\s|[,.;:!?)\]>-]|(?:{_HELLO}|sure|yes|ok(?:ay)?|no|of course)\b(?=[\s,.!]|$)|"
    r"(?:and|also|so|but)\b(?=[\s,]*(?:and|,|$)))+",
    re.I,
)
_GAP = re.compile(r"\s+(?=[,.;!?])|(?<=[,.;])[,.;\s]+(?=[,.;])")
_INTERROGATIVE = re.compile(r"\b(?:who|what|when|where|why|which|how|whose)\b|\?", re.I)
_FOLLOW_UP = re.compile(
    r"(?:and|what about|how about|also|or|but|then|same for|is (?:it|that|this)|are (?:they|those|these))\b|"
    r"(?:on|in|at|for|with|without|from|to|by|during|after|before) (?:\S+ ?){1,3}$",
    re.I,
)
_ELLIPSIS = re.compile(
    r"(?:(?:and|or|but|also|then|so)\b[ ,]*)?(?:(?:what|how) about )?"
    r"(?P<phrase>(?P<preposition>on|in|at|for|with|without|from|to|by|during|after|before) (?:[^\s?]+ ?){1,5}?)[ ?.!]*",
    re.I,
)
"""A phrase alone, such as "and on Sundays?"."""
_POINTING = re.compile(r"\b(?:it|its|that|this|they|them|their|those|these|there|one|ones|same|he|she)\b", re.I)
_SHORT_QUESTION = 7
"""A question of so many words or fewer that points at something ("is it free?") needs the one before."""


def intent_of(message: str, found: Sequence[Found], *, asked: bool) -> Intent:
    """What a message is about.

    Args:
        message: what the customer wrote.
        found: the lead values in it.
        asked: whether the agent has just asked for one.
    """
    if asked and not found and _BARE_NO.fullmatch(message.strip()):
        return Intent.DECLINE
    intent = _small_talk(message.strip())
    if intent is not None:
        return intent
    rest = question_part(message, found)
    if found and not _says_something(rest):
        return Intent.DETAILS
    if declines(message, asked=asked) and not _INTERROGATIVE.search(_REFUSAL.sub("", rest)):
        return Intent.DECLINE
    return Intent.QUESTION


def _small_talk(message: str) -> Intent | None:
    if len(message) > _LONGEST_SMALL_TALK:
        return None
    return next((intent for intent, pattern in _SMALL_TALK if pattern.fullmatch(message)), None)


def declines(message: str, *, asked: bool) -> bool:
    """Whether a customer does not want to say who they are."""
    return _REFUSAL.search(message) is not None or (asked and _NO.match(message) is not None)


def question_part(message: str, found: Sequence[Found]) -> str:
    """The message without what it says of the customer, and without a greeting."""
    kept, position = [], 0
    for span in sorted(found, key=lambda each: each.start):
        if span.start >= position:
            kept.append(message[position : span.start])
        position = max(position, span.end)
    rest = " ".join([*kept, message[position:]])
    return _OPENING.sub("", _GAP.sub("", " ".join(rest.split()))).strip()


def is_follow_up(question: str) -> bool:
    """Whether a question makes no sense without the one before: "and on Sundays?", "is it free?"."""
    count = len(_WORD.findall(question))
    pointing = count <= _SHORT_QUESTION and _POINTING.search(question) is not None
    return pointing or (_FOLLOW_UP.match(question) is not None and count <= 2 * _SHORT_QUESTION)


def in_context(question: str, topic: str) -> str:
    """A follow-up as a question that makes sense alone.

    "When do you open on weekdays?" and "and on Sundays?" are "When do you open on Sundays?"; where there is nothing to
    put in place of, the two follow one another.
    """
    ellipsis = _ELLIPSIS.fullmatch(question)
    if ellipsis is None:
        return f"{topic} {question}"
    stem = topic.rstrip(" ?.!")
    same = list(re.finditer(rf"\s{ellipsis['preposition']}\s", stem, re.I))
    return f"{stem[: same[-1].start()] if same else stem} {ellipsis['phrase']}?"


def _says_something(rest: str) -> bool:
    """Whether what is left of a message is more than the words around contact details."""
    left = [word for word in _WORD.findall(rest.casefold()) if word not in _FILLER and word not in NOT_A_VALUE]
    return len(left) >= 2 or (bool(left) and _INTERROGATIVE.search(rest) is not None)
