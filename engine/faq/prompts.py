"""Asking a chat model for the question that a sentence answers.

A small model follows examples better than orders, so the instruction is one line and the examples are turns of their own;
they are the same for every request, and the runtime computes them once. Each sentence is asked about several times, with other
first words. Some of the questions are free after those; they are the best worded, and at times about something else. The others
are decoded under a grammar whose only words are those of the sentence and its headings, their base forms, and a list of plain
function words; they invent nothing, and are at times bent out of shape. And where the sentence can be transformed by rule, the
model chooses among the forms of the question. Curation chooses among all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.cancellation import CancelToken
from engine.domain import Chunk, Message
from engine.faq.transformations import transformed_questions
from engine.faq.types import Origin, Unit
from engine.faq.words import SPELLED_NUMBERS, STOP_WORDS, numbers, word_set, words
from engine.llm.base import GenerationParams, Regex, Request

JOB_PRIORITY = 10
_MAX_TOKENS = 48
_MAX_TELLING = 9
_MAX_FREE = 110
"""Characters of a question after its first words."""


@dataclass(frozen=True, slots=True)
class Openers:
    """Which groups of first words are tried: with free words after them, and with the sentence's words only."""

    free: slice
    held: slice
    transformed: bool = False
    """Whether the model is given the sentence's transformations as well, to choose the right form of each."""


ONE_MORE = Openers(slice(0, 1), slice(0, 0))
"""Where a rule has a good question already: something to choose from."""
FIRST = Openers(slice(0, 3), slice(0, 2), transformed=True)
AGAIN = Openers(slice(3, 7), slice(2, 4))
"""For sentences that have no good question after the first round. On the even articles of XQuAD one question a sentence gives
pairs for half as many sentences as all of them do."""

_ASKING_NOUNS = ("purpose",)
"""What a question may ask for although the sentence does not say the word."""

_ENDINGS = "have|do|need|from|to|for|in|on|with"
_SYSTEM = "You write the question that a sentence answers. The question can be understood without the sentence."
_SAME_LANGUAGE = "Write one question, in the language of the sentence, and nothing else."
_FOREIGN_PATTERN = "[^\\n?？؟]{6,140}[?？؟]"
EXAMPLES: tuple[tuple[str, str, str], ...] = (
    ("Library rules", "Members may borrow up to six books for three weeks.", "How many books may members borrow?"),
    (
        "Town hall",
        "The car park behind the town hall closes at 22:00 on weekdays.",
        "When does the car park behind the town hall close?",
    ),
    ("Coffee machine", "Descale the boiler with citric acid every two months.", "How often should the boiler be descaled?"),
    (
        "Swimming club",
        "An adult must accompany children under eight in the pool.",
        "Who must accompany children under eight in the pool?",
    ),
    ("Bicycle hire", "A damaged bicycle is exchanged at any station.", "Where can I exchange a damaged bicycle?"),
    (
        "Marie Curie",
        "Marie Curie was awarded the Nobel Prize in Physics in 1903.",
        "When was Marie Curie awarded the Nobel Prize in Physics?",
    ),
)
"""Topic, sentence and question of each example. Questions that repeat one of these are refused."""

_FUNCTION_WORDS = word_set(
    "a an the of in on at by for from to with within without after before during between and or is are was were be been do "
    "does did can could may must should will would has have had many much long often far need I my you your "
    "not if allowed"
)
_OPENERS = ("What", "How", "When", "Where", "Who", "Which", "Why", "Can", "Is", "Are", "Does", "Do", "Must", "May")
_WHAT_DOES = ("What did", "What does", "What do", "What has", "What have", "What can", "What must")
"""They keep a small model from asking "What is …?" of a sentence that does not say what something is."""
_TIME = re.compile(
    r"\b(?:\d{1,2}:\d\d|1\d\d\d|20\d\d|noon|midnight|before|after|until|since|january|february|march|april|june|july|august|september"
    r"|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b",
    re.IGNORECASE,
)
_PERIOD = re.compile(r"\b(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b", re.IGNORECASE)
_MONEY = re.compile(r"[$€£¥]|\b(?:eur|euros?|usd|dollars?|gbp|pounds?)\b", re.IGNORECASE)
_PERSON = re.compile(r"(?:^|\s)(?:by\s)?[A-Z][a-z]+\s[A-Z][a-z]+")
_METACHARACTERS = re.compile(r"[.^$*+?{}\[\]\\|()/&~#-]")
_VARIANTS = (("ies", "y"), ("es", "e"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""))


def question_requests(
    unit: Unit, chunk: Chunk, *, openers: Openers, grammar: bool, english: bool = True, cancel: CancelToken | None = None
) -> list[tuple[Origin, Request]]:
    """Requests for questions to a sentence, each with other first words, and where the words of each will come from.

    Args:
        unit: the sentence, with the text before it that it needs.
        chunk: where it stands; its headings are the topic.
        openers: which first words are tried; see `openers_of`.
        grammar: whether the model decodes under a grammar. Without one all requests would be the same, so that there is one.
        english: whether the sentence is English; the examples, the first words and the function words are.
        cancel: stops the generation.
    """
    topic = topic_of(chunk)
    if not english:
        return [(Origin.MODEL, _foreign_request(topic, unit.text, grammar=grammar, cancel=cancel))]
    messages = _messages(topic, unit.text)
    if not grammar:
        return [(Origin.MODEL, Request(messages, _params(None, cancel)))]
    groups = openers_of(unit.text)
    vocabulary = _vocabulary(unit.quote, topic)
    free = [_free_pattern(group) for group in groups[openers.free]]
    held = [_pattern(group, vocabulary) for group in groups[openers.held]]
    whole = _messages(topic, unit.quote)
    built = [_one_of(forms) for forms in transformed_questions(unit.text, chunk.text)] if openers.transformed else []
    patterns = [
        *((Origin.RULE, messages, pattern) for pattern in built),
        *((Origin.MODEL, messages, pattern) for pattern in free),
        *((Origin.MODEL, whole, pattern) for pattern in held),
    ]
    return [(origin, Request(asked, _params(Regex(pattern), cancel))) for origin, asked, pattern in patterns]


def topic_of(chunk: Chunk) -> str:
    """The innermost heading of a chunk; the outer ones are mostly the document's title, which small models then ask about."""
    return " ".join(chunk.heading_path[-1].split()) if chunk.heading_path else ""


def openers_of(sentence: str) -> list[tuple[str, ...]]:
    """First words to try, one group a request: any of all, then what the sentence has an answer to."""
    groups: list[tuple[str, ...]] = []
    if _MONEY.search(sentence):
        groups.append(("How much",))
    if _TIME.search(sentence):
        groups.append(("When",))
    if _PERIOD.search(sentence):
        groups.append(("How long", "How often"))
    if numbers(sentence):
        groups.append(("How many", "How much"))
    if _PERSON.search(sentence):
        groups.append(("Who",))
    return [_OPENERS, *groups[:1], _WHAT_DOES, ("What",), ("How", "Why"), *groups[1:]]


def _foreign_request(topic: str, sentence: str, *, grammar: bool, cancel: CancelToken | None) -> Request:
    """Without examples, which would draw the question into English."""
    messages = (Message("system", f"{_SYSTEM} {_SAME_LANGUAGE}"), Message("user", _task(topic, sentence)))
    return Request(messages, _params(Regex(_FOREIGN_PATTERN) if grammar else None, cancel))


def _params(constraint: Regex | None, cancel: CancelToken | None) -> GenerationParams:
    return GenerationParams(
        max_tokens=_MAX_TOKENS,
        repeat_penalty=1.0,
        stop=("\n",),
        cancel=cancel,
        priority=JOB_PRIORITY,
        constraint=constraint,
        logprobs=None if constraint is None else 0,
    )


def _messages(topic: str, sentence: str) -> tuple[Message, ...]:
    turns = [Message("system", _SYSTEM)]
    for example_topic, example_sentence, question in EXAMPLES:
        turns.append(Message("user", _task(example_topic, example_sentence)))
        turns.append(Message("assistant", question))
    return (*turns, Message("user", _task(topic, sentence)))


def _task(topic: str, sentence: str) -> str:
    return f"Topic: {topic or 'General'}\nSentence: {' '.join(sentence.split())}"


def _vocabulary(sentence: str, topic: str) -> list[str]:
    """The telling words that a question to the sentence may have: its own and its topic's, without numbers."""
    allowed: dict[str, None] = {}
    for word in words(f"{topic} {sentence}"):
        lower = word.lower()
        if lower in SPELLED_NUMBERS or word[0].isdigit() or lower in _FUNCTION_WORDS:
            continue
        allowed.update(dict.fromkeys((word, lower, *_base_forms(lower))))
    return [*allowed, *_ASKING_NOUNS]


def _base_forms(word: str) -> list[str]:
    """Guesses at the base form of an inflected word: "holds" → "hold", "closing" → "close", "clos"."""
    if word in STOP_WORDS:
        return []
    forms = [
        word.removesuffix(ending) + base for ending, base in _VARIANTS if word.endswith(ending) and len(word) - len(ending) >= 3
    ]
    return [form[:-1] if len(form) > 3 and form[-1] == form[-2] and form[-1] not in "sel" else form for form in forms]


def _one_of(texts: Iterable[str]) -> str:
    return "|".join(map(_escaped, texts))


def _escaped(text: str) -> str:
    return _METACHARACTERS.sub(r"\\\g<0>", text)


def _free_pattern(openers: tuple[str, ...]) -> str:
    """A question with these first words; the bound keeps a small model from going on and on."""
    return f"(?:{'|'.join(openers)}) [^\\n?]{{8,{_MAX_FREE}}}\\?"


def _pattern(openers: tuple[str, ...], vocabulary: Iterable[str]) -> str:
    """A question whose telling words are those of `vocabulary`, with at most three function words before each.

    The bound keeps a small model from writing "in in in …" until it runs out of tokens.
    """
    first = "|".join(openers)
    telling = _one_of(vocabulary)
    function = "|".join(sorted(_FUNCTION_WORDS))
    return f"(?:{first})(?:(?: (?:{function})){{0,3}} (?:{telling})){{1,{_MAX_TELLING}}}(?: (?:{_ENDINGS}))?\\?"
