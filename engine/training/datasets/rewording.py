"""Other words for an English question, by rules that keep its meaning.

A small model words questions anew that ask for something else; these patterns cannot. Each rule is a set of forms that ask the
same, in which X stands for whatever was there. What fits no form keeps its words, and is only written as people type it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CLOCK = re.compile(r"\b\d{1,2}(?::\d\d|\s*(?:[ap]\.?m\b|o'?clock|h\b))|\b(?:noon|midnight)\b", re.IGNORECASE)
"""A time of day."""

LONGEST = 300
"""Characters of a question. What is longer brings a text of its own along."""

_ENDS_OPEN = r"(?!.*\b(?:\w+ed|\w+ing|about|at|by|for|from|in|known|like|made|of|on|to|under|with|worth)\s*\?)"
"""Not where the last word belongs to the verb: "What is the shop known for?"."""


@dataclass(frozen=True, slots=True)
class _Forms:
    """Forms that ask the same; `{X}` is what they have in common. `asks_time`: only where the answer has a time of day.

    `more` ones ask the same of what fits a form, but what fits them may ask for something else.
    """

    forms: tuple[str, ...]
    but: str = ""
    asks_time: bool = False
    more: tuple[str, ...] = ()

    def patterns(self) -> Iterator[tuple[re.Pattern[str], str]]:
        """Each form as a pattern, and itself."""
        for form in self.forms:
            before, _, after = form.partition("{X}")
            yield re.compile(f"{self.but}{re.escape(before)}(?P<X>\\S.*?){re.escape(after)}", re.IGNORECASE), form


_SUMS = "deposit|fee|fine|charge|rent|salary|discount|tax|price|premium|refund|reduction|tip|rate|penalty|contribution"
"""What is itself a sum of money."""

_RULES = (
    _Forms(
        ("How much does {X} cost?", "What does {X} cost?", "What is the price of {X}?"),
        but=r"(?!.*\bit cost\?)",
        more=("How much is {X}?", "How expensive is {X}?", "How much do I pay for {X}?", "Tell me the price of {X}."),
    ),
    _Forms(
        ("Can I {X}?", "Is it possible to {X}?"),
        but=r"(?!.*\bnot\b)",
        more=("Is there a way to {X}?", "I would like to {X}. Is that possible?"),
    ),
    _Forms(
        ("How can I {X}?", "How do I {X}?", "In what way can I {X}?"),
        but=r"(?!how (?:can|do) i know\b)",
        more=("What must I do to {X}?", "I want to {X}. How?", "Can you tell me how to {X}?"),
    ),
    _Forms(("Do I have to {X}?", "Do I need to {X}?", "Must I {X}?"), but=r"(?!.*\bnot\b)", more=("Is it necessary to {X}?",)),
    _Forms(("Where is {X} located?", "Where can I find {X}?"), more=("Where is {X}?", "In what place is {X}?")),
    _Forms(
        ("Where is the {X}?", "Where is your {X}?", "Where do I find the {X}?"),
        but=_ENDS_OPEN,
        more=("In what place is the {X}?",),
    ),
    _Forms(("How long does it take to {X}?", "How much time does it take to {X}?")),
    _Forms(
        ("How long does {X} take?", "How much time does {X} take?"),
        but=r"(?!how (?:long|much time) does it\b)",
        more=("How much time is needed for {X}?",),
    ),
    _Forms(("What is {X} called?", "What is the name of {X}?"), more=("What name does {X} have?", "Tell me the name of {X}.")),
    _Forms(("Who is the {X}?",), but=_ENDS_OPEN, more=("What is the name of the {X}?", "Tell me who the {X} is.")),
    _Forms(("How many {X} are there?", "What is the number of {X}?")),
    _Forms(("How often {X}?", "How frequently {X}?")),
    _Forms(("What happens if {X}?", "What happens when {X}?")),
    _Forms(("Who can I contact {X}?", "Who should I contact {X}?")),
    _Forms(("When does {X} open?", "At what time does {X} open?"), asks_time=True),
    _Forms(("When does {X} close?", "At what time does {X} close?"), asks_time=True),
    _Forms(("When does {X} start?", "When does {X} begin?")),
    _Forms(("Why {X}?", "For what reason {X}?")),
    _Forms(
        ("What is the {X}?", "Please tell me the {X}.", "Can you tell me the {X}?"),
        but=_ENDS_OPEN,
        more=("I would like to know the {X}.", "Do you know the {X}?"),
    ),
    _Forms(("How much is the {X}?", "How high is the {X}?"), but=rf"(?=.*\b(?:{_SUMS})\b)", more=("What is the {X}?",)),
)

_ASKING_WORD = re.compile(
    r"(?:What|When|Where|Who|Whom|Whose|Which|Why|How|Can|Could|Is|Are|Was|Were|Do|Does|Did|May|Must|Will|Should|Has|Have)\b"
)
_CONTRACTIONS = (("What is ", "What's "), ("Where is ", "Where's "), ("Who is ", "Who's "), ("When is ", "When's "))


def rewordings(question: str, answer: str) -> list[str]:
    """Other forms of an English question, those furthest from it first; none for what is no question, or more than one line.

    Args:
        question: what is asked.
        answer: decides whether a question for a time may be asked as "At what time …".
    """
    asked = " ".join(question.split())
    if len(asked) > LONGEST or "\n" in question.strip():
        return []
    found = [*_other_forms(asked, answer), *_contracted(asked), *_as_typed(asked)]
    return [text for text in dict.fromkeys(found) if text != asked]


def _other_forms(asked: str, answer: str) -> Iterator[str]:
    for rule in _RULES:
        if rule.asks_time and not _CLOCK.search(answer):
            continue
        for pattern, form in rule.patterns():
            match = pattern.fullmatch(asked)
            if match is not None:
                yield from (other.replace("{X}", match["X"]) for other in (*rule.forms, *rule.more) if other != form)
                return


def _contracted(asked: str) -> Iterator[str]:
    for whole, short in _CONTRACTIONS:
        if asked.startswith(whole):
            yield short + asked.removeprefix(whole)


def _as_typed(asked: str) -> Iterator[str]:
    """The question as people type it in a hurry, and as they ask it politely."""
    if _ASKING_WORD.match(asked) and asked.endswith("?"):
        typed = asked[:1].lower() + asked[1:]
        yield typed.removesuffix("?").rstrip()
        yield f"I have a question: {typed}"
