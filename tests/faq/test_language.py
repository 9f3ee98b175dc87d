"""Telling the language of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.faq.language import LANGUAGES, is_in, language_of

TEXTS = {
    "en": "The warranty of every kettle is five years. You can return it within 45 days if it is not damaged.",
    "de": "Die Garantie für jeden Wasserkocher beträgt fünf Jahre. Sie können das Gerät innerhalb von 45 Tagen zurückgeben.",
    "fr": "La garantie de chaque bouilloire est de cinq ans. Vous pouvez la rendre dans les 45 jours si elle n'est pas abîmée.",
    "es": "La garantía de cada hervidor es de cinco años. Se puede devolver en un plazo de 45 días si no está dañado.",
    "it": "La garanzia di ogni bollitore è di cinque anni. Il prodotto si può restituire entro 45 giorni se non è rotto.",
    "pt": "A garantia de cada chaleira é de cinco anos. O produto pode ser devolvido em 45 dias se não estiver danificado.",
    "nl": "De garantie van elke waterkoker is vijf jaar. Het kan binnen 45 dagen terug als het niet is beschadigd.",
    "ru": "Гарантия на каждый чайник составляет пять лет. Его можно вернуть в течение 45 дней, если он не повреждён.",
    "pl": "Gwarancja na każdy czajnik trwa pięć lat. Produkt można zwrócić w ciągu 45 dni, jeśli nie jest uszkodzony.",
    "ja": "すべてのケトルには5年間の保証が付いています。45日以内であれば返品できます。",
    "zh": "每个水壶都有五年的保修期。如果没有损坏,可以在45天内退货。",
    "ar": "ضمان كل غلاية خمس سنوات. يمكنك إرجاعها خلال 45 يومًا إذا لم تكن تالفة.",
    "el": "Η εγγύηση κάθε βραστήρα είναι πέντε χρόνια. Μπορείτε να τον επιστρέψετε εντός 45 ημερών.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_the_language_of_a_few_sentences(code: str) -> None:
    assert language_of([TEXTS[code]]) == code


@pytest.mark.parametrize("text", ["", "123 456 %", "XK-40 XK-50 XK-60 BTX-9", "\ud800"])
def test_no_language_is_guessed_where_there_is_none(text: str) -> None:
    assert language_of([text]) == ""


@given(st.lists(st.text()))
def test_any_text_gives_a_code_or_nothing(texts: list[str]) -> None:
    assert len(language_of(texts)) in (0, 2)


RELATED = {frozenset(pair) for pair in (("da", "no"), ("es", "pt"), ("it", "es"), ("ru", "bg"), ("ru", "uk"))}


@pytest.mark.parametrize("code", TEXTS)
def test_a_text_is_in_its_language_and_in_no_other(code: str) -> None:
    assert is_in(TEXTS[code], code) is True
    others = [other for other in TEXTS if other != code and frozenset((code, other)) not in RELATED]
    assert [other for other in others if is_in(TEXTS[code], other)] == []
    assert sum(is_in(TEXTS[code], other) is False for other in others) >= len(others) - 2


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("Wie lange dauert die Lieferung?", "de"),
        ("Combien coûte la réparation ?", "fr"),
        ("¿Cuánto cuesta la reparación?", "es"),
        ("Quanto costa la riparazione?", "it"),
        ("Quanto custa o conserto?", "pt"),
        ("Hoeveel kost de reparatie?", "nl"),
        ("Ile kosztuje naprawa?", "pl"),
        ("Сколько стоит ремонт?", "ru"),
        ("Скільки коштує ремонт?", "uk"),
        ("修理はいくらですか？", "ja"),
        ("维修要多少钱？", "zh"),
        ("수리비는 얼마입니까?", "ko"),
        ("كم تكلفة الإصلاح؟", "ar"),
        ("What does a repair cost?", "en"),
    ],
)
def test_a_short_question_is_of_its_language(question: str, code: str) -> None:
    assert is_in(question, code) is True
    assert is_in(question, "en" if code != "en" else "de") is not True


@pytest.mark.parametrize("text", ["", "18 EUR", "Marie Curie", "XK-40"])
def test_what_has_no_language_is_of_none(text: str) -> None:
    assert {is_in(text, code) for code in LANGUAGES} == {None}


def test_a_sentence_in_another_script_is_of_another_language() -> None:
    assert is_in("The delivery takes three days in all.", "ru") is False
    assert is_in("Доставка занимает три дня.", "de") is False
    assert is_in("京都大学", "ja") is None


@given(st.text(), st.sampled_from(sorted(LANGUAGES)))
def test_any_text_has_an_answer_for_any_language(text: str, code: str) -> None:
    assert is_in(text, code) in (True, False, None)


def test_every_language_that_can_be_told_has_a_name() -> None:
    assert {language_of([text]) for text in TEXTS.values()} <= LANGUAGES.keys()
    assert len(set(LANGUAGES.values())) == len(LANGUAGES)
