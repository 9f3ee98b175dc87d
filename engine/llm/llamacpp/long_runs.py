"""Cuts texts that llama.cpp's tokenisers could not bear.

Most byte-pair tokenisers of llama.cpp split a text with `std::regex`, which goes one level deeper on the stack for each
character of a match: a run of some 20,000 letters, digits, signs or spaces ends the process. Of 91 ways of splitting in the
version in use, 33 do (those of Llama 4, Mistral Nemo and DeepSeek among them), so runs are cut long before that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_RUN = 4096
"""Bytes. A fifth of what was seen to end a process whose threads have eight megabytes of stack."""

_RUN = re.compile(rb"\S{%d}|\s{%d}" % (LONGEST_RUN, LONGEST_RUN))
_SIGN_AFTER_WORD = re.compile(
    rb"(?<=[\w\x80-\xff])[!-/:-@\[-^`{-~]|(?<=[\w\x80-\xff])(?:\xe3\x80[\x80-\x82]|\xef\xbc[\x81-\x9f])"
)
"""Where tokenisers split anyway: before ASCII punctuation, and before the commas and full stops of Chinese and Japanese."""


def cut_long_runs(data: bytes, names: re.Pattern[bytes] | None = None) -> Iterator[bytes]:
    """The text in pieces none of which has a run of non-space or of space much longer than `LONGEST_RUN`; most often one piece.

    Args:
        data: a text in UTF-8.
        names: what must not be cut apart, such as the names of special tokens.
    """
    start = 0
    while len(data) - start > LONGEST_RUN and (run := _RUN.search(data, start)):
        end = _place_to_cut(data, run.start(), run.end(), names)
        yield data[start:end]
        start = end
    yield data[start:]


def _place_to_cut(data: bytes, start: int, end: int, names: re.Pattern[bytes] | None) -> int:
    """Before the last sign in the second half of a run, or else at its end; never inside a character or a name."""
    middle = start + (end - start) // 2
    places = [match.start() for match in _SIGN_AFTER_WORD.finditer(data, middle, end)]
    at = places[-1] if places else end
    while at < len(data) and data[at] & 0xC0 == 0x80 and at > middle:
        at -= 1
    for name in names.finditer(data, start, end + LONGEST_RUN) if names is not None else ():
        if name.start() < at < name.end():
            return name.start() if name.start() > start else name.end()
    return at
