"""How large units are, so that "1.5 kg" and "1500 g" are told to be the same amount.

Only what is the same everywhere, and exact: tons, gallons, ounces and pounds differ by country and trade, megabytes by who
counts them, months and days (of 24 hours, or until midnight) by when they begin, cents by their currency.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

Amount = tuple[str, Fraction]
"""What is measured, and how much of it."""

_INCH = Fraction(254, 10_000)
"""In metres, exact since the international yard and pound agreement of 1959."""
_MEASURES: dict[str, dict[str, Fraction]] = {
    "length": {
        "nm": Fraction(1, 10**9),
        "µm": Fraction(1, 10**6),
        "mm": Fraction(1, 1000),
        "cm": Fraction(1, 100),
        "dm": Fraction(1, 10),
        "m": Fraction(1),
        "km": Fraction(1000),
        "inch": _INCH,
        "foot": 12 * _INCH,
        "yard": 36 * _INCH,
    },
    "area": {
        "mm²": Fraction(1, 10**6),
        "cm²": Fraction(1, 10**4),
        "m²": Fraction(1),
        "hectare": Fraction(10**4),
        "km²": Fraction(10**6),
    },
    "volume": {
        "cm³": Fraction(1, 1000),
        "ml": Fraction(1, 1000),
        "cl": Fraction(1, 100),
        "dl": Fraction(1, 10),
        "l": Fraction(1),
        "hl": Fraction(100),
        "m³": Fraction(1000),
    },
    "mass": {"µg": Fraction(1, 10**6), "mg": Fraction(1, 1000), "g": Fraction(1), "kg": Fraction(1000)},
    "time": {"ms": Fraction(1, 1000), "second": Fraction(1), "minute": Fraction(60), "hour": Fraction(3600)},
    "days": {"day": Fraction(1), "week": Fraction(7)},
    "frequency": {"Hz": Fraction(1), "kHz": Fraction(1000), "MHz": Fraction(10**6), "GHz": Fraction(10**9)},
    "power": {"mW": Fraction(1, 1000), "W": Fraction(1), "kW": Fraction(1000), "MW": Fraction(10**6)},
    "energy": {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(10**6)},
    "voltage": {"mV": Fraction(1, 1000), "V": Fraction(1), "kV": Fraction(1000)},
    "current": {"mA": Fraction(1, 1000), "A": Fraction(1)},
    "charge": {"mAh": Fraction(1, 1000), "Ah": Fraction(1)},
    "pressure": {"mbar": Fraction(1), "hPa": Fraction(1), "kPa": Fraction(10), "bar": Fraction(1000)},
    "data rate": {"kbit/s": Fraction(1), "Mbit/s": Fraction(1000), "Gbit/s": Fraction(10**6)},
    "speed": {"km/h": Fraction(1), "m/s": Fraction(36, 10)},
}
_SIZES: dict[str, Amount] = {unit: (measure, size) for measure, units in _MEASURES.items() for unit, size in units.items()}

_COMPUTED = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?", re.ASCII)
"""Longer numbers are no measurements, and would take time and memory."""


def amounts(value: str, units: Iterable[str]) -> frozenset[Amount]:
    """What a number is in each of some units; none for units that are not converted, and for a number that is no decimal.

    Args:
        value: in digits, with a decimal point.
        units: as `engine.knowledge.unit_words` names them.
    """
    sizes = [_SIZES[unit] for unit in units if unit in _SIZES]
    if not sizes or _COMPUTED.fullmatch(value) is None:
        return frozenset()
    number = Fraction(value)
    return frozenset((measure, number * size) for measure, size in sizes)
