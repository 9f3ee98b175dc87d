"""Lead data: what a customer tells about themselves in one message.

Rules find values first; where they find none and the message looks as if it gave one, a model may point at a span of the
message. Whatever the source, `accepted` has the last word: a value that the customer did not type, or that its field does not
take, goes no further.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.agents.contact_rules import find_emails, find_phones
from engine.agents.fields import FieldKind, is_valid, kind_of, looks_like_formula
from engine.agents.found import Found
from engine.agents.messages import declines
from engine.agents.name_rules import find_names
from engine.agents.second_opinion import SecondOpinion
from engine.agents.value_rules import find_companies, find_values

_CORRECTION = re.compile(
    r"(?:^|[.,!?;]\s{0,3}|\b)(?:it['’]?s|it is|i mean|i meant|should be|make (?:it|that)|that['’]s|use)\s+"
    r"(?P<new>[^,;\n]{1,80}?),?\s+(?:not|instead of|rather than)\s+(?P<old>[^,;\n]{1,80})",
    re.I,
)
_ON_DEMAND: dict[FieldKind, Callable[..., Iterator[Found]]] = {
    FieldKind.NAME: find_names,
    FieldKind.PHONE: find_phones,
    FieldKind.COMPANY: find_companies,
    FieldKind.OTHER: find_values,
}


@dataclass(frozen=True, slots=True)
class LeadData:
    """What one message gave: the values by field, and where each was found."""

    found: tuple[Found, ...] = ()

    @property
    def values(self) -> Mapping[str, str]:
        """The values by field."""
        return {found.field: found.value for found in self.found}


class LeadReader:
    """Reads lead fields from messages."""

    def __init__(self, fields: Sequence[str], second_opinion: SecondOpinion | None = None) -> None:
        """Make a reader of these fields; without a second opinion only the rules count."""
        self._fields = tuple(fields)
        self._second_opinion = second_opinion

    def read(self, message: str, *, asked: str | None = None, known: Mapping[str, str] | None = None) -> LeadData:
        """The values that a message gives.

        Args:
            message: what the customer wrote.
            asked: the field that the agent has just asked for.
            known: the values so far; a correction such as "it's Jon, not John" is understood with them.
        """
        if declines(message, asked=asked is not None):
            asked = None
        taken: list[Found] = []
        for field in self._fields:
            found = self._find(field, message, asked, known or {})
            if found is not None and not _is_taken(found, field, taken):
                taken.append(found)
        return LeadData(tuple(taken))

    def _find(self, field: str, message: str, asked: str | None, known: Mapping[str, str]) -> Found | None:
        candidates = [
            *_corrections(field, message, known.get(field)),
            *_by_rules(field, message, asked=field == asked),
        ]
        valid = [found for found in candidates if accepted(field, found.value, message)]
        if valid:
            # People put themselves right: of several addresses or numbers the last one counts.
            return valid[-1] if kind_of(field) in (FieldKind.EMAIL, FieldKind.PHONE) else valid[0]
        if self._second_opinion is None or field in known:
            return None
        opinion = self._second_opinion.find(field, message, asked=field == asked)
        return opinion if opinion is not None and accepted(field, opinion.value, message) else None


def accepted(field: str, value: str, message: str) -> bool:
    """Whether a value may be stored: the customer typed exactly this, the field takes it, and it begins no formula."""
    if not value or value not in message or not is_valid(field, value):
        return False
    return not looks_like_formula(message[message.index(value) :])


def _by_rules(field: str, message: str, *, asked: bool) -> Iterator[Found]:
    kind = kind_of(field)
    if kind is FieldKind.EMAIL:
        return find_emails(field, message)
    return _ON_DEMAND[kind](field, message, asked=asked)


def _corrections(field: str, message: str, old: str | None) -> Iterator[Found]:
    """ "It's Jon, not John", where the field's value so far has to do with what is called wrong."""
    if old is None:
        return
    for match in _CORRECTION.finditer(message):
        wrong = match["old"].strip(" .!?\"'").casefold()
        if wrong and (wrong in old.casefold() or old.casefold() in wrong):
            yield Found(field, match["new"].strip(" .!\"'"), match.start(), match.end())


def _is_taken(found: Found, field: str, taken: Sequence[Found]) -> bool:
    """Whether another field has the value already: a name is not a company as well."""
    return kind_of(field) is FieldKind.COMPANY and any(
        other == replace(found, field=other.field) or other.value == found.value for other in taken
    )
