"""From bytes of an unknown encoding to text."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter

from engine.errors import DocumentError
from engine.ingest.source import Source

_SAMPLE_BYTES = 64 * 1024
_MAX_CONTROL_SHARE = 0.02
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MIN_KNOWN = 0.9
_WIDE = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))
"""Encodings whose files are full of zero bytes, and their bytes for each unit."""
_WESTERN = "cp1252"
_WESTERN_CHARACTERS = frozenset("äöüßÄÖÜàâæçèéêëîïôœùûÀÂÇÈÉÊËÎÔŒÙÛáíñóúÁÍÑÓÚ¿¡ìòÌÒãõÃÕåøÅØÆ€£§°©®«»„“”‘’‚–—…•·\u00a0")
_MAX_ACCENTED = 0.25
_CENTRAL_EUROPEAN = ("cp1250", "iso8859_2")
"""Their letters stand where Western ones do, so that such a guess is left as it is."""


def decode(source: Source, data: bytes, declared: str | None = None) -> str:
    """The text of a file: by its byte order mark, as UTF-8, as it declares itself, or by the look of its letters.

    Args:
        source: where the bytes come from; gets a warning when the encoding is a guess.
        data: the bytes.
        declared: the encoding that the file names itself, as HTML may.

    Raises:
        DocumentError: these bytes are no text.
    """
    text = _decode_marked(source, data)
    if text is None:
        text = _decode_wide(source, data) if b"\0" in data else None
    if text is None:
        text = _try(data, "utf-8") or (_try(data, declared) if declared else None) or _guess(source, data)
    sample = text[:_SAMPLE_BYTES]
    if sum(map(_is_control, sample)) > _MAX_CONTROL_SHARE * len(sample):
        raise _binary(source)
    return text


def _decode_marked(source: Source, data: bytes) -> str | None:
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if encoding is None:
        return None
    text = data.decode(encoding, errors="replace")
    if "\ufffd" in text:
        source.warnings.append("Some characters could not be decoded.")
    return text


def _decode_wide(source: Source, data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: the reading in which the letters come from the fewest scripts.

    Raises:
        DocumentError: it is neither.
    """
    sample = data[: _SAMPLE_BYTES - _SAMPLE_BYTES % 4]
    found: list[tuple[int, int, str]] = []
    for rank, (encoding, width) in enumerate(_WIDE):
        text = _try(sample[: len(sample) - len(sample) % width], encoding) if len(data) % width == 0 else None
        if text and _is_written(text):
            found.append((len({ord(character) >> 8 for character in text}), rank, encoding))
    if not found:
        raise _binary(source)
    encoding = min(found)[2]
    source.warnings.append(f"The encoding was guessed to be {encoding.upper()}.")
    return data.decode(encoding, errors="replace")


def _is_written(text: str) -> bool:
    """Whether people write such text: hardly any control, private or unassigned characters, and Latin with one other script."""
    scripts = Counter(map(_script, text))
    odd = sum(not character.isspace() and unicodedata.category(character)[0] == "C" for character in text)
    latin = scripts.pop(0, 0)
    return odd == 0 and latin + max(scripts.values(), default=0) >= _MIN_KNOWN * len(text)


def _script(character: str) -> int:
    """A rough number for a character's script: 0 for Latin and punctuation, 1 for the many blocks of East Asia."""
    block = ord(character) >> 8
    if block < 0x03 or 0x1E <= block <= 0x20:
        return 0
    return 1 if 0x2E <= block <= 0xD7 or 0xF9 <= block <= 0xFF else block


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (ValueError, LookupError):  # an encoding that the file named may be no encoding at all
        return None


def _guess(source: Source, data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    if best is None:
        raise _binary(source)
    encoding = best.encoding
    if encoding not in _CENTRAL_EUROPEAN and _is_western(data[:_SAMPLE_BYTES].decode(_WESTERN, errors="replace")):
        encoding = _WESTERN
    source.warnings.append(f"The encoding was guessed to be {encoding}.")
    return data.decode(encoding, errors="replace")


def _is_western(text: str) -> bool:
    """Whether a text reads as one of a Western European language: few letters with accents, and only those of its languages.

    Short texts are easily taken for Baltic, Turkish or those of an old Macintosh, whose encodings differ in a few letters.
    """
    letters = sum(map(str.isalpha, text))
    foreign = [character for character in text if not character.isascii()]
    return len(foreign) < _MAX_ACCENTED * letters and _WESTERN_CHARACTERS.issuperset(foreign)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and not character.isspace()


def _binary(source: Source) -> DocumentError:
    return DocumentError(
        f"{source.name} does not hold text, although its name says so.",
        hint="Save it as text in UTF-8, or add the original document (PDF, DOCX, EPUB, HTML).",
    )
