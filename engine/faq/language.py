"""Telling the language of a text by its script and its most frequent words, without a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

MOST_WORDS = 4000
"""Words that are looked at; a few hundred decide, more make no difference."""
LEAST_SHARE = 0.08
"""Least share of a text's words that must be function words of its language. Running text has 0.3 to 0.5, lists have less."""

_WORD = re.compile(r"[^\W\d_]+")
_FREQUENT = {
    "en": "the of and to in is that for it as with are on by be this from at or was not you your can have",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus",
    "fr": "le la les de des et en un une du est que dans qui pour pas au sur par plus avec sont ce il vous",
    "es": "el la los las de que y en un una por con para es se del no su al lo como más sus este",
    "it": "il la di che e in un una per non con del della è si le dei da al sono come gli nel alla più",
    "pt": "o a os as de que e em um uma do da para com não se por mais dos das no na ao é são",
    "nl": "de het een van en in is dat op te zijn voor met die niet aan er om ook als bij door naar uit",
    "sv": "och i att det som en på är av för med den till inte ett har om så var från kan eller de",
    "da": "og i at det er en til af på for den med som ikke de der et har om kan fra eller ved",
    "no": "og i det er en til av på for som med den ikke de et har om kan fra eller ved å på seg",
    "fi": "ja on ei se että hän oli ovat joka kun myös tai mutta niin sen ole voi kanssa ovat",
    "pl": "i w na z do się nie jest to że o jak po przez dla od są oraz lub za może przy",
    "cs": "a v na se je z do že s o pro to jako za po nebo jsou který při od být ve není",
    "tr": "ve bir bu da de için ile olarak çok daha gibi olan en kadar ne ya sonra ise değil",
    "ro": "și în de la a cu pe este nu că un o din pentru care mai sunt ce se sau prin",
    "hu": "a az és hogy nem is egy meg ez van volt csak de ha vagy mint már el kell",
    "vi": "và của là có trong được cho không các với một này những khi đã để người từ theo",
    "id": "yang dan di dari untuk dengan ini pada tidak adalah dalam akan itu ke atau oleh sebagai juga",
    "ru": "и в не на что с по как это для к из у о от за или при его но так же также",
    "uk": "і в не на що з та як це для до у від за або при його але так є також про",
    "bg": "и на в да се от за е с не по че са като до или при това но",
}
_WORDS = {code: frozenset(words.split()) for code, words in _FREQUENT.items()}
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
"""Scripts that mostly stand for one language, Japanese before Chinese since it has Chinese characters as well."""
_SCRIPT_SHARE = 0.2
"""Least share of the letters. Japanese texts have a fifth and more of kana."""


def language_of(texts: Iterable[str]) -> str:
    """The language of some texts as an ISO 639-1 code; empty where it cannot be told.

    Looks at the first few thousand words. Urdu and Persian count as Arabic, whose script they have.
    """
    sample = _sample(texts)
    letters = sum(map(len, _WORD.findall(sample)))
    if letters == 0:
        return ""
    for code, script in _SCRIPTS:
        if len(script.findall(sample)) >= _SCRIPT_SHARE * letters:
            return code
    words = Counter(_WORD.findall(sample.lower()))
    hits = {code: sum(words[word] for word in frequent) for code, frequent in _WORDS.items()}
    best = max(hits, key=hits.__getitem__)
    return best if hits[best] >= LEAST_SHARE * words.total() else ""


def _sample(texts: Iterable[str]) -> str:
    """The texts up to about `MOST_WORDS` words."""
    parts: list[str] = []
    room = MOST_WORDS * 6
    for text in texts:
        parts.append(text[:room])
        room -= len(text)
        if room <= 0:
            break
    return "\n".join(parts)
