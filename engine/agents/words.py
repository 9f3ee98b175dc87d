"""Words that tell names from other text, and how a name is read."""

from __future__ import annotations

import re


def word_set(text: str) -> frozenset[str]:
    """The words of a text that lists them with spaces between."""
    return frozenset(text.split())


LETTER = r"(?:(?![\u0900-\u0e7f])[^\W\d_][\u0300-\u036f]*|[\u0900-\u0e7f])"
"""A letter of any script, with its combining marks; Indic and Thai vowel signs are no letters to `re`."""

NAME_WORD = re.compile(rf"{LETTER}+(?:['’·-]{LETTER}+)*\.?")

_PARTICLES = word_set(
    "van der den de del della di da dos das do du la le von zu zur af av al el bin ibn ben abu ap mac st ten ter y e"
)
"""Lower-case words inside of surnames."""

_FUNCTION_WORDS = (
    "a about after all also am an and any are aren't as at be because been before but by can can't cannot could did didn't "
    "do does doesn't don't during every for from had has have having he her here hers him his how i i'm i'd i'll i've if "
    "in instead into is isn't it its it's just let let's like may maybe me mine my myself no none nope not nothing now of "
    "off on once one only or our ours out over per please she should since so some someone something soon still such than "
    "that that's the their them then there there's these they this those through till to too two three four five six seven "
    "eight nine ten until up us very via was wasn't we we'd we'll we're we've were what what's when where which while who "
    "who's whom why will with within without won't would yeah yep yes yet you you're your yours under above both each else"
)
_TALK = (
    "hi hello hey hiya greetings welcome thanks thank thx cheers regards sincerely bye goodbye ciao sorry apologies ok okay "
    "sure fine great good nice cool perfect awesome wonderful right correct exactly wrong actually really well hmm um umm uh "
    "oh wow lol haha alright absolutely certainly definitely indeed dear sir madam mr mrs ms miss dr anyone everybody "
    "everyone nobody anybody nevermind whatever morning afternoon evening night day guys team there folks best kind warm "
    "damn shit fuck piss bloody hell asap fyi btw"
)
_TIMES = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun january february "
    "march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec "
    "today tomorrow tonight yesterday noon midnight midday weekend week weeks month months year years hour hours minute "
    "minutes christmas easter thanksgiving halloween valentine's pm o'clock quarter half past next last first second third "
    "later early late earlier then date time days hanukkah nye eve breakfast brunch lunch dinner"
)
_ACTIONS = (
    "ask asking asked book booked booking call calling called cancel cancelled cancelling change changing check checking come "
    "coming confirm contact contacting email find get getting give giving go going gonna gotta happen help hope hoping "
    "interested know known leave look looking make making mean need needing needs order ordered ordering pay phone planning "
    "prefer put ready reach recommend remind reply reserve reserved running say says see seeing seeking send show speak "
    "speaking start stop take tell text think thinking trying try use using wait waiting want wanting wants wonder wondering "
    "work working write writing add added happy glad excited afraid aware curious concerned unable able available busy done "
    "hungry ill sick tired new old sure allergic vegan vegetarian bringing arriving attending celebrating expecting ignore "
    "pretend instructions"
)
_THINGS = (
    "account address adults agent answer appointment area assistant bill bot business cafe card cash chair chairs chat child "
    "children city class code company computer couple customer customers customer's delivery details discount document email "
    "e-mail employee event faq family fax food friend friends group guest guests home hotel house information internet "
    "invoice job kids kitchen location mail manager man menu message mobile money name names number office offer one opening "
    "order owner parking party people person phone pizza place plan price prices pricing problem product question questions "
    "receipt refund reservation restaurant return returns room salad seats service shipping shop someone spot student support "
    "system table tables telephone thing things ticket urgent user website wife husband partner boss colleague mother father "
    "brother sister mum mom dad wine woman work highchair surname male female he/she none unknown anonymous outside "
    "inside ceo cto cfo "
    "founder director engineer ltd limited llc inc corp corporation gmbh plc"
)
_NATIONALITIES = (
    "american argentinian australian austrian belgian brazilian british canadian chinese colombian croatian czech danish dutch "
    "egyptian english european finnish french german greek hungarian indian indonesian irish israeli italian japanese korean "
    "lebanese mexican moroccan norwegian pakistani polish portuguese romanian russian scottish serbian spanish swedish swiss "
    "thai turkish ukrainian vietnamese welsh muslim jewish catholic hindu buddhist gluten halal kosher"
)

_GIVEN_NAMES = word_set("April Bill Jan June May Will")
"""Given names that are other words, too: the capital decides."""

NOT_A_NAME = word_set(f"{_FUNCTION_WORDS} {_TALK} {_TIMES} {_ACTIONS} {_THINGS} {_NATIONALITIES}")
"""Words, in lower case, that no name consists of."""

NOT_A_VALUE = word_set(f"{_FUNCTION_WORDS} {_TALK} unknown anonymous n/a na nil secret private self-employed")
"""Words, in lower case, that are no value of a field on their own."""

PLACES = word_set(
    "africa albania amsterdam argentina asia athens atlanta australia austria bangalore bangkok barcelona beijing belgium "
    "berlin birmingham boston brazil bristol britain brussels bucharest budapest bulgaria cairo california canada chicago "
    "chile china cologne colombia copenhagen croatia dallas delhi denmark denver dubai dublin edinburgh egypt england "
    "estonia europe "
    "finland florida france frankfurt geneva germany ghana glasgow greece hamburg helsinki houston hungary iceland india "
    "indonesia ireland israel istanbul italy jakarta japan johannesburg kenya korea lagos latvia leeds lisbon lithuania london "
    "lyon madrid malaysia manchester melbourne mexico miami milan montreal morocco moscow mumbai munich nairobi naples "
    "netherlands nigeria norway oslo pakistan paris philadelphia philippines poland portugal prague rome romania russia "
    "scotland seattle serbia seoul shanghai singapore slovakia slovenia spain stockholm stuttgart sweden switzerland sydney "
    "taiwan texas thailand tokyo toronto tunisia turkey turin uk ukraine usa vancouver vienna vietnam wales warsaw washington "
    "york zagreb zurich zürich münchen wien köln"
)
"""Countries and large cities: "I'm Ana from Berlin" names no company."""


def name_words(text: str) -> list[str]:
    """The words of a name, as they stand."""
    return NAME_WORD.findall(text)


def is_capitalised(word: str) -> bool:
    """Whether a word begins with a capital, or is of a script that has none."""
    return not word[0].islower()


def is_particle(word: str) -> bool:
    """Whether a word is one that surnames hold in lower case."""
    return word in _PARTICLES


def is_name_word(word: str) -> bool:
    """Whether a word may stand in a name."""
    return word in _GIVEN_NAMES or word.casefold().rstrip(".").removesuffix("'s").removesuffix("’s") not in NOT_A_NAME
