"""From bytes of an unknown encoding to text."""

from __future__ import annotations

import codecs
import unicodedata

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
        if b"\0" in data:
            raise _binary(source)
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
    text = data.decode(best.encoding, errors="replace")
    source.warnings.append(f"The encoding was guessed to be {best.encoding}.")
    return text


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and not character.isspace()


def _binary(source: Source) -> DocumentError:
    return DocumentError(
        f"{source.name} does not hold text, although its name says so.",
        hint="Save it as text in UTF-8, or add the original document (PDF, DOCX, EPUB, HTML).",
    )
