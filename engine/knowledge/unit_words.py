"""The words and signs that people write for units, months and numbers."""

from __future__ import annotations

import re

UNITS: dict[str, str] = {
    "kg": "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes",
    "g": "g gram grams gramme grammes",
    "mg": "mg milligram milligrams",
    "µg": "µg μg mcg microgram micrograms",
    "t": "t ton tons tonne tonnes",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "km": "km kms kilometre kilometres kilometer kilometers",
    "m": "m metre metres meter meters",
    "dm": "dm decimetre decimetres decimeter decimeters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "µm": "µm μm micrometre micrometres micrometer micrometers micron microns",
    "nm": "nm nanometre nanometres nanometer nanometers",
    "mile": "mi mile miles",
    "foot": "ft foot feet",
    "inch": "inch inches",
    "yard": "yd yard yards",
    "m²": "m² m2 sqm square_metre square_metres square_meter square_meters",
    "cm²": "cm² cm2 square_centimetre square_centimetres square_centimeter square_centimeters",
    "mm²": "mm² mm2 square_millimetre square_millimetres square_millimeter square_millimeters",
    "km²": "km² km2 square_kilometre square_kilometres square_kilometer square_kilometers",
    "hectare": "ha hectare hectares",
    "square foot": "sqft square_foot square_feet",
    "m³": "m³ m3 cubic_metre cubic_metres cubic_meter cubic_meters",
    "cm³": "cm³ cm3 cubic_centimetre cubic_centimetres cubic_centimeter cubic_centimeters",
    "hl": "hl hectolitre hectolitres hectoliter hectoliters",
    "l": "l litre litres liter liters",
    "dl": "dl decilitre decilitres deciliter deciliters",
    "cl": "cl centilitre centilitres centiliter centiliters",
    "ml": "ml millilitre millilitres milliliter milliliters",
    "gallon": "gal gallon gallons",
    "ms": "ms millisecond milliseconds",
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
    "KiB": "kib kibibyte kibibytes",
    "MiB": "mib mebibyte mebibytes",
    "GiB": "gib gibibyte gibibytes",
    "TiB": "tib tebibyte tebibytes",
    "kbit/s": "kbit/s kbps kilobits_per_second",
    "Mbit/s": "mbit/s mbps megabits_per_second",
    "Gbit/s": "gbit/s gbps gigabits_per_second",
    "mW": "mw milliwatt milliwatts",
    "W": "w watt watts",
    "kW": "kw kilowatt kilowatts",
    "MW": "mw megawatt megawatts",
    "Wh": "wh watt_hour watt_hours",
    "kWh": "kwh kilowatt_hour kilowatt_hours",
    "MWh": "mwh megawatt_hour megawatt_hours",
    "mV": "mv millivolt millivolts",
    "V": "v volt volts",
    "kV": "kv kilovolt kilovolts",
    "mA": "ma milliamp milliamps milliampere milliamperes",
    "A": "amp amps ampere amperes",
    "mAh": "mah milliampere_hour milliampere_hours",
    "Ah": "ah ampere_hour ampere_hours amp_hour amp_hours",
    "mbar": "mbar millibar millibars",
    "hPa": "hpa hectopascal hectopascals",
    "kPa": "kpa kilopascal kilopascals",
    "bar": "bar bars",
    "Hz": "hz hertz",
    "kHz": "khz kilohertz",
    "MHz": "mhz megahertz",
    "GHz": "ghz gigahertz",
    "m/s": "m/s metres_per_second meters_per_second",
    "km/h": "km/h kmh kph",
    "mph": "mph miles_per_hour",
}
"""Each unit and how it is written; an underscore is white space. "Pound" is two units, and so is "mw"."""

_AS_WRITTEN = {"mW": "mW", "MW": "MW"}
"""Signs whose letter case tells which of two units they are."""

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
    sign = re.sub(r"[\s-]+", "", written)
    return frozenset({_AS_WRITTEN[sign]}) if sign in _AS_WRITTEN else _BY_ALIAS.get(sign.lower(), frozenset())


def _by_alias() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for unit, aliases in UNITS.items():
        for alias in aliases.split():
            key = alias.replace("_", "")
            found[key] = found.get(key, frozenset()) | {unit}
    return found


_BY_ALIAS = _by_alias()
