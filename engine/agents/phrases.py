"""Everything that an agent says in fixed words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.agents.fields import FieldKind, kind_of, label

GREETING = "Hello! How can I help you?"
THANKS = "You are welcome. Is there anything else that I can help with?"
GOODBYE = "Goodbye, and thank you for your visit."
AGREEMENT = "Good. What would you like to know?"
DECLINED = "That is fine. Do ask me anything that you would like to know."
FAILED = "I am sorry, I cannot answer at the moment. Your message was kept."
OFFER = "I have noted your question."
OFFER_KNOWN = "I have noted your question, together with how to reach you ({contact})."

_ASK: Mapping[FieldKind, str] = {
    FieldKind.NAME: "May I ask your name?",
    FieldKind.EMAIL: "May I ask for your e-mail address?",
    FieldKind.PHONE: "May I ask for a telephone number at which you can be reached?",
    FieldKind.COMPANY: "May I ask which company you are with?",
}
_ASK_OTHER = "May I ask about your {label}?"
_ASK_CONTACT: Mapping[FieldKind, str] = {
    FieldKind.EMAIL: "May I note an e-mail address with it?",
    FieldKind.PHONE: "May I note a telephone number with it?",
}
_TITLES: Mapping[FieldKind, str] = {
    FieldKind.NAME: "your name",
    FieldKind.EMAIL: "your e-mail address",
    FieldKind.PHONE: "your telephone number",
    FieldKind.COMPANY: "your company",
}
_NOTED = "Thank you{name}. I have noted {values}."


def ask_for(field: str) -> str:
    """A polite question for a field."""
    return _ASK.get(kind_of(field), _ASK_OTHER.format(label=label(field)))


def ask_contact(field: str) -> str:
    """A question for the address that is kept with an open question."""
    return _ASK_CONTACT.get(kind_of(field), ask_for(field))


def noted(values: Mapping[str, str]) -> str:
    """Thanks for what a customer gave, naming it."""
    name = next((value for field, value in values.items() if kind_of(field) is FieldKind.NAME), "")
    return _NOTED.format(name=f", {name}" if name else "", values=_listed([_value(*item) for item in values.items()]))


def _value(field: str, value: str) -> str:
    title = _TITLES.get(kind_of(field), f"your {label(field)}")
    return f"{title} ({value})"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""
