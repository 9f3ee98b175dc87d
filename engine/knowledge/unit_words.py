"""The words and signs that people write for units, months and numbers."""

from __future__ import annotations

import re

UNITS: dict[str, str] = {
    "kg": "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes",
    "g": "g gram grams gramme grammes",
    "mg": "mg milligram milligrams",
    "t": "t ton tons tonne tonnes",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "km": "km kms kilometre kilometres kilometer kilometers",
    "m": "m metre metres meter meters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "mile": "mi mile miles",
    "foot": "ft foot feet",
    "inch": "inch inches",
    "yard": "yd yard yards",
    "m²": "m² m2 sqm square_metre square_metres square_meter square_meters",
    "square foot": "sqft square_foot square_feet",
    "m³": "m³ m3 cubic_metre cubic_metres cubic_meter cubic_meters",
    "l": "l litre litres liter liters",
    "ml": "ml millilitre millilitres milliliter milliliters",
    "gallon": "gal gallon gallons",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days calendar_day calendar_days",
    "working day": "working_day working_days business_day business_days",
    "night": "night nights",
    "week": "week weeks",
    "month": "month months",
    "year": "yr yrs year years",
    "%": "% percent per_cent",
    "°C": "°c °_c degrees_c degrees_celsius degree_celsius celsius",
    "°F": "°f °_f degrees_f degrees_fahrenheit degree_fahrenheit fahrenheit",
    "degree": "° degree degrees",
    "dollar": "$ us$ usd dollar dollars",
    "euro": "€ eur euro euros",
    "pound sterling": "£ gbp pound pounds",
    "yen": "¥ jpy yen",
    "franc": "chf franc francs",
    "cent": "¢ cent cents",
    "kB": "kb kilobyte kilobytes",
    "MB": "mb megabyte megabytes",
    "GB": "gb gigabyte gigabytes",
    "TB": "tb terabyte terabytes",
    "W": "w watt watts",
    "kW": "kw kilowatt kilowatts",
    "kWh": "kwh kilowatt_hour kilowatt_hours",
    "V": "v volt volts",
    "Hz": "hz hertz",
    "km/h": "km/h kmh kph",
    "mph": "mph miles_per_hour",
}
"""Each unit and how it is written; an underscore is white space. "Pound" is two units."""

BEFORE_NUMBERS = "us$ $ € £ ¥ usd eur gbp jpy chf"
"""What may stand before its number."""

_MONTHS = (
    "january jan januar janvier enero gennaio",
    "february feb februar février febrero febbraio",
    "march mar märz mars marzo",
    "april apr avril abril aprile",
    "may mai mayo maggio",
    "june jun juni juin junio giugno",
    "july jul juli juillet julio luglio",
    "august aug août agosto",
    "september sept sep septembre septiembre settembre",
    "october oct oktober octobre octubre ottobre",
    "november nov novembre noviembre",
    "december dec dezember décembre diciembre dicembre",
)
MONTHS: dict[str, int] = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}
"""English, German, French, Spanish and Italian names, and English short ones."""

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS: dict[str, int] = {
    **{word: value for value, word in enumerate(_SMALL.split())},
    **{word: value for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)},
}
MULTIPLIERS: dict[str, int] = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def alias_pattern(aliases: str) -> str:
    """A pattern that matches any of the words in a list, the longest first."""
    ordered = sorted(aliases.split(), key=lambda alias: (-len(alias), alias))
    return "|".join(re.escape(alias).replace("_", r"[\s-]*") for alias in ordered)


def units_written(written: str) -> frozenset[str]:
    """The units that a word or sign may stand for; none where it is not known."""
    return _BY_ALIAS.get(re.sub(r"[\s-]+", "", written).lower(), frozenset())


def _by_alias() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for unit, aliases in UNITS.items():
        for alias in aliases.split():
            key = alias.replace("_", "")
            found[key] = found.get(key, frozenset()) | {unit}
    return found


_BY_ALIAS = _by_alias()
