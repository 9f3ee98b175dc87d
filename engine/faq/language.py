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
_ASKING = {
    "en": "what how when where who whom whose which why does do did must many much long often are was if",
    "de": "was wie wann wo wohin wer wen wem welche welcher welches welchen warum wieso kann muss darf viel viele lange oft",
    "fr": "quel quelle quels quelles comment quand où pourquoi combien peut faut doit quoi a-t-on faut-il peut-on puis-je je",
    "es": "qué cuál cuáles cómo cuándo cuánto cuánta cuántos cuántas dónde quién quiénes puede debe hay puedo",
    "it": "che quale quali quando quanto quanta quanti quante dove chi perché cosa può deve cui posso dura",
    "pt": "qual quais quando quanto quanta quantos quantas onde quem porquê porque pode deve é posso",
    "nl": "wat hoe wanneer waar wie welke welk waarom hoeveel kan moet mag lang ik je worden wordt",
    "sv": "vad hur när var vem vilken vilket vilka varför många mycket måste får länge ofta kostar",
    "da": "hvad hvordan hvornår hvor hvem hvilken hvilket hvilke hvorfor mange meget skal må længe ofte bliver",
    "no": "hva hvordan når hvor hvem hvilken hvilket hvilke hvorfor mange mye skal må lenge ofte blir",
    "fi": "mikä mitä miten milloin missä kuka kuinka miksi paljonko monta voiko pitää kauan mihin saa",
    "pl": "co jak kiedy gdzie kto który która które jaki jaka jakie dlaczego ile czy można należy trzeba długo",
    "cs": "co jak kdy kde kdo který která které jaký jaká jaké proč kolik lze musí dlouho může můžu",
    "tr": "nasıl zaman nerede kim hangi neden kaç mi mı mu mü nedir gerekir kadar nereye sürer",
    "ro": "ce cum când unde cine care cât câtă câți câte poate trebuie cui se pot durează",
    "hu": "mi mit hogyan mikor hol ki milyen melyik miért mennyi hány lehet mennyibe kell tart meddig",
    "vi": "gì thế nào khi nào đâu ai bao nhiêu tại sao bao lâu phải mấy như làm",
    "id": "apa bagaimana kapan mana siapa mengapa berapa apakah bisa harus lama boleh di",
    "ru": "что как когда где кто какой какая какие какое почему сколько можно нужно ли чем кому долго",
    "uk": "що як коли де хто який яка які яке чому скільки можна потрібно чи чим кому довго",
    "bg": "какво как кога къде кой коя кои кое защо колко може трябва ли какъв какви време",
}
"""Words that begin questions, and others that are frequent in them. They are no help with running text."""
_TELLING_WORDS = {code: known | frozenset(_ASKING[code].split()) for code, known in _WORDS.items()}
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
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_CYRILLIC_LANGUAGES = frozenset({"ru", "uk", "bg"})
_NAME_WORDS = 3
"""So few words in foreign letters may be a name."""

LANGUAGES: dict[str, str] = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""The languages that can be told here, by their ISO 639-1 codes, with their English names."""


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


def is_in(text: str, language: str) -> bool | None:
    """Whether a text, which may be as short as a question, is in a language; None where it cannot be told.

    Says no only where the script is another one, or where the words clearly are those of another language.

    Args:
        text: what was written.
        language: one of `LANGUAGES`.
    """
    found = [word.lower() for word in _WORD.findall(text)]
    scripted = _by_script(text, found, language)
    if scripted is not None or not found or language not in _WORDS:
        return scripted
    rivals = [code for code in _WORDS if (code in _CYRILLIC_LANGUAGES) == (language in _CYRILLIC_LANGUAGES)]
    hits = {code: sum(word in _TELLING_WORDS[code] for word in found) for code in rivals}
    own = hits.pop(language)
    best = max(hits.values())
    if best >= max(2, 2 * own, own + 2):
        return False
    return True if own and own >= best else None


def _by_script(text: str, found: list[str], language: str) -> bool | None:
    """What the script alone says: None where the language shares it with others."""
    letters = sum(map(len, found))
    written = next((code for code, script in _SCRIPTS if len(script.findall(text)) >= _SCRIPT_SHARE * max(1, letters)), "")
    own_script = any(code == language for code, _ in _SCRIPTS)
    if written:
        # Japanese may be written without kana for a few words.
        return None if (written, language) == ("zh", "ja") else written == language
    cyrillic = 2 * len(_CYRILLIC.findall(text)) > letters
    if own_script or cyrillic != (language in _CYRILLIC_LANGUAGES):
        return None if len(found) <= _NAME_WORDS else False
    return None


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
