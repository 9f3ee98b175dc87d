"""Which lead field an agent asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.agents.fields import FieldKind, kind_of

_CONTACT = (FieldKind.EMAIL, FieldKind.PHONE)


def next_field(fields: Sequence[str], lead: Mapping[str, str]) -> str | None:
    """The first field that has no value yet; None when all have one."""
    return next((field for field in fields if field not in lead), None)


def next_contact(fields: Sequence[str], lead: Mapping[str, str]) -> str | None:
    """The field to ask for so that a customer can be answered later: an address or number, or else any that is missing."""
    contacts = [field for field in fields if kind_of(field) in _CONTACT and field not in lead]
    return contacts[0] if contacts else next_field(fields, lead)


def contact_of(fields: Sequence[str], lead: Mapping[str, str]) -> str | None:
    """The address or number that a customer gave; None when they gave none."""
    return next((lead[field] for field in fields if kind_of(field) in _CONTACT and field in lead), None)
