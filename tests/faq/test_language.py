"""Telling the language of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.faq.language import language_of

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
