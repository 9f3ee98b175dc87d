"""Figures of a text in one language, looked for in another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.faq.figures_across import READABLE, in_digits, strange_figures
from engine.knowledge.figures import numbers


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "drei Tage oder fünfundzwanzig Euro", {"3", "25"}),
        ("de", "zweihundertfünfzig Gramm, einundzwanzig Tage, tausend Seiten", {"250", "21", "1000"}),
        ("de", "3,5 Millionen Menschen und zwei Millionen Tiere", {"3500000", "2000000"}),
        ("de", "Millionen Menschen haben einen Hund und eine Katze", set()),
        ("fr", "quatre-vingt-dix-sept ou soixante-dix ou soixante et onze", {"97", "70", "71"}),
        ("fr", "un livre neuf coûte dix-huit euros, ou vingt et un", {"18", "21"}),
        ("es", "treinta y cinco días, veintidós horas, mil euros", {"35", "22", "1000"}),
        ("it", "ventuno giorni, trentotto ore, duecento euro, seimila", {"21", "38", "200", "6000"}),
        ("pt", "vinte e quatro horas", {"24"}),
        ("nl", "vijfentwintig euro, tweeëntwintig dagen", {"25", "22"}),
        ("sv", "tjugofem kronor och två dagar", {"25", "2"}),
        ("da", "femogtyve kroner", {"25"}),
        ("fi", "kaksikymmentäviisi euroa", {"25"}),
        ("pl", "ten pies ma dwadzieścia pięć lat", {"25"}),
        ("cs", "ten pes má tři roky", {"3"}),
        ("hu", "tizenkét nap, huszonöt euró", {"12", "25"}),
        ("tr", "yirmi beş gün", {"25"}),
        ("ru", "двадцать пять дней, двух часов", {"25", "2"}),
        ("uk", "п'ять днів", {"5"}),
        ("vi", "hai mươi lăm ngày", {"25"}),
        ("id", "dua belas hari, tiga puluh lima jam", {"12", "35"}),
        ("ar", "خمسة وعشرون يومًا", {"25"}),
        ("hi", "पाँच दिन", {"5"}),
        ("zh", "二十五天,3万元,二〇二四年", {"25", "30000", "2024"}),
        ("ja", "三日以内に、一般に十分です", {"3"}),
        ("ko", "3일", {"3"}),
    ],
)
def test_numbers_in_words(language: str, text: str, expected: set[str]) -> None:
    assert numbers(in_digits(text, language)) == expected


@pytest.mark.parametrize(
    ("said", "language", "proof", "proof_language", "strange"),
    [
        ("Die Lieferung dauert drei Tage.", "de", "Delivery takes 3 days.", "en", []),
        ("Die Lieferung dauert 3 Tage.", "de", "Delivery takes three days.", "en", []),
        ("Die Lieferung dauert fünf Tage.", "de", "Delivery takes 3 days.", "en", ["5"]),
        ("It takes three days and costs 4.90 EUR.", "en", "Sie dauert drei Tage und kostet 4,90 EUR.", "de", []),
        ("It takes five days.", "en", "Es dauert drei Tage.", "", ["five days"]),
        ("Sie kostet 4,90 Euro.", "de", "It costs €4.90.", "en", []),
        ("Es kostet 4,90 Euro.", "de", "It costs 4.80 EUR.", "en", ["4,90 Euro"]),
        ("Der Preis ist 1.234,50 Euro.", "de", "The price is 1,234.50 euros.", "en", []),
        ("Der Laden öffnet um 18 Uhr.", "de", "The shop opens at 6 p.m.", "en", []),
        ("Der Laden öffnet um 19 Uhr.", "de", "The shop opens at 6 p.m.", "en", ["19"]),
        ("Le magasin ouvre à 22 h 30.", "fr", "The shop opens at 22:30.", "en", []),
        ("Es wiegt 5 kg.", "de", "Он весит 5 килограммов.", "ru", []),
        ("Es wiegt 5 kg.", "de", "It weighs 5 lb.", "en", ["5 kg"]),
        ("Il dure dix-huit jours.", "fr", "It takes 8 days.", "en", ["18"]),
        ("Le neuf est là pour six ans.", "fr", "It lasts 6 years.", "en", []),
        ("It is due on 3 March 2024.", "en", "Termin mija 3 marca 2024.", "pl", []),
        ("Am 3. Mai 2024.", "de", "On May 3, 2024.", "en", []),
        ("Am 4. Mai 2024.", "de", "On May 3, 2024.", "en", ["4. Mai 2024"]),
        ("Dura tres días.", "es", "Es dauert drei Tage.", "", []),
        ("保修期为五年。", "zh", "The warranty is five years.", "en", []),
        ("保修期为六年。", "zh", "The warranty is five years.", "en", ["6"]),
    ],
)
def test_the_same_in_another_language_is_held_and_nothing_else(
    said: str, language: str, proof: str, proof_language: str, strange: list[str]
) -> None:
    assert strange_figures(said, language, proof, proof_language) == strange


@given(st.text(), st.sampled_from(sorted({*READABLE, "ko", "th", ""})), st.booleans())
def test_any_text_can_be_read(text: str, language: str, doubtful: bool) -> None:
    assert isinstance(in_digits(text, language, doubtful=doubtful), str)


NUMBER_TEXT = "hundert zwei und zwanzig tausend million ein elf drei milliarden fünf"


@given(st.lists(st.sampled_from(NUMBER_TEXT.split()), max_size=30).map(" ".join))
def test_a_text_holds_its_own_figures(text: str) -> None:
    assert strange_figures(text, "de", text, "de") == []


@pytest.mark.parametrize("text", ["1" * 5000 + "万", "1" * 400 + ".5万", "一" * 5000, "九" * 5000 + "亿", "9" * 20 + "亿"])
def test_long_chinese_numerals_are_no_trouble(text: str) -> None:
    assert strange_figures(text, "zh", text, "zh") == []


def test_long_words_are_no_trouble() -> None:
    assert in_digits("zweiund" * 5000, "de")
    assert in_digits("zwei" * 14 + "x", "de")
