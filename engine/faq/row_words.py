"""What the rules for table rows know of English: words of labels, of kinds of things, and of nouns."""

from __future__ import annotations

import re

from engine.faq.words import word_set

# What labels ask for.
PRICES = word_set("price prices cost costs rate rates fare fares tariff tariffs charge charges")
FEES = word_set("fee fees surcharge surcharges deposit deposits fine fines tax taxes")
AMOUNTS = word_set("amount entry admission budget salary rent discount refund")
DURATIONS = word_set(
    "time duration period guarantee warranty validity stay interval term notice runtime life lifetime delay wait trial length"
)
LASTING = word_set(
    "course tour class lesson event session contract membership programme program trial workshop concert film show exam test"
)
MOMENTS = word_set(
    "deadline date start end beginning departure arrival launch expiry check-in check-out opening closing birthday"
)
MOMENT_VERBS = {
    "start": "start",
    "starts": "start",
    "begin": "begin",
    "begins": "begin",
    "beginning": "begin",
    "end": "end",
    "ends": "end",
    "opens": "open",
    "closes": "close",
    "departs": "depart",
    "arrives": "arrive",
}
WRITTEN_OUT = {"max.": "maximum", "min.": "minimum", "avg.": "average"}
CONTACTS = {
    "phone": "phone number",
    "telephone": "telephone number",
    "tel": "telephone number",
    "hotline": "hotline number",
    "fax": "fax number",
    "mobile": "mobile number",
    "e-mail": "e-mail address",
    "email": "email address",
    "web": "website",
    "url": "website",
}
CONTACT_NOUNS = word_set("number address website homepage")
PERSONS = word_set(
    "manager director owner author head contact chair chairman chairwoman editor speaker teacher instructor "
    "supervisor president ceo founder coach trainer lecturer librarian secretary treasurer"
)
ATTRIBUTES = word_set(
    "power weight size capacity height width depth length colour color colours colors material materials dimensions "
    "range speed voltage area volume diameter thickness population capital currency language languages name version "
    "status brand manufacturer category type address location guarantee warranty price cause causes default purpose "
    "symptoms effect effects format accuracy resolution battery display screen processor memory finish noise "
    "frequency pressure rating efficiency class consumption storage density wattage sizes level isbn publisher origin"
)
"""They are something's own: "the weight of the kettle"."""
PLAIN_LABELS = word_set(
    "age ages temperature amount quantity method limit reason requirement requirements conditions condition dose "
    "dosage minimum maximum unit units stock value allowance discount percentage share distance score grade level "
    "number meaning entry definition description notes note remarks comment comments cause remedy solution action "
    "hours open available required included example examples day days month time times location venue place date "
    "users seats beds places guests rooms lessons parking breakfast tracking balcony service services contact "
    "documents document website"
)
NOTES = word_set("notes note remarks remark comment comments description details information")
MEANINGS = word_set("meaning definition explanation")
TO_DO = frozenset({"what to do", "action", "action required", "recommended action"})
PLACES_ASKED = word_set("location venue place")
_COUNTING = r"#|(?:no|nr|id|sku|pos|index|row|ref)\.?"
"""Labels of what only tells rows apart."""
NOT_ASKED = re.compile(
    rf"column \d+|{_COUNTING}|image|photo|picture|link|reference|source|page|figure|table|step|example"
    r"|result|conclusion|summary|to|from|subject|re|cc|sum|total|(?:step|figure|table|page|option|chapter|section|part) \S+",
    re.IGNORECASE,
)
"""Labels that say nothing to a customer, or belong to the text and not to what it is about."""
PER = {
    "monthly": "per month",
    "yearly": "per year",
    "annual": "per year",
    "weekly": "per week",
    "daily": "per day",
    "hourly": "per hour",
    "nightly": "per night",
}

# Words that say how something is: "Is a visa required?", "Is garden waste accepted?"
STATES = word_set(
    "required needed necessary mandatory optional obligatory available possible allowed permitted accepted included "
    "refundable covered supported provided paid waterproof free recommended guaranteed taxable insured equipped "
    "furnished heated shared accessible open closed eligible approved certified removable adjustable rechargeable "
    "washable recyclable reusable insulated wireless portable foldable stackable cancellable transferable "
    "exchangeable returnable deductible compulsory prohibited forbidden"
)
STATE_ENDINGS = ("-proof", "-safe", "-free", "-friendly", "-resistant", "able", "ible")
STATE_PREPOSITIONS = {"included": "in", "covered": "by", "supported": "by", "available": "for", "provided": "with"}
PERMITTED = word_set("smoking pets dogs children photography camping barbecues fires drones alcohol cycling swimming")
TRAILING = word_set(
    "valid made suitable available compatible recommended used intended designed approved issued eligible located"
)
"""Words that a label's last preposition may follow: "valid for", "made of", "approved by"."""
VERBS = {
    "includes": "include",
    "include": "include",
    "contains": "contain",
    "covers": "cover",
    "requires": "require",
    "needs": "need",
    "supports": "support",
    "offers": "offer",
    "allows": "allow",
    "has": "have",
    "with": "have",
}

DAY_NAMES = word_set("monday tuesday wednesday thursday friday saturday sunday weekdays weekends")

# Kinds of things, by how their names are said.
PLACES = word_set("country city town region state island district county province destination nationality continent")
NAMED = word_set(
    "name item items article product goods service topic title category position task activity drink food dish meal "
    "species animal material substance company organisation organization person employee feature benefit document "
    "purpose location place area case situation ingredient fruit vegetable crop sport tool transaction expense "
    "symptom problem fault equipment device treatment procedure offence violation object accessory"
)
"""What stands in such a column has its noun with it: "gift cards", not "the gift cards item"."""
CODED = word_set(
    "size code zone grade level priority version section part gate platform line class step phase stage band group row"
)
"""Said before a code: "size M", "zone 2"."""
MASS_KINDS = word_set("delivery shipping leave insurance cover access support training parking transport travel shipment")
COUNT_KINDS = word_set(
    "plan room ticket rate tariff membership licence license package course class account card subscription tour seat "
    "apartment suite pass lesson edition bundle vehicle car trip cabin offer menu contract policy programme program "
    "project department team library office branch shop store hotel restaurant museum vaccine kiln machine unit model "
    "pool hall court workshop school bus train ferry route boat bike bicycle kettle parameter field option setting "
    "command variable function fund loan mortgage role job test exam kit series system device visa permit pitch"
)
INCLUDING = word_set(
    "plan ticket delivery rate package membership subscription tariff pass tour course policy insurance edition "
    "bundle licence license shipping offer menu trip cover programme program"
)
"""They include something; other things have it."""
STANDING_ALONE = word_set(
    "pass suite apartment studio bungalow cabin villa dormitory card bundle desk ticket plan package membership "
    "subscription collection course workshop kit room tour house tent flat"
)
"""Nouns that name a thing well enough without its kind."""
PEOPLE = word_set(
    "adults children students seniors pensioners families members guests groups infants teenagers apprentices "
    "concessions residents visitors pupils schools companies individuals everyone babies toddlers couples"
)
NAME_LABELS = word_set("name product title event item model service course topic programme program")
ORDINALS = re.compile(rf"{_COUNTING}|number|rank|(?:article|item) (?:no\.?|number)", re.IGNORECASE)
PROPERTY = word_set(
    "property feature attribute characteristic specification item parameter detail criterion benefit field data fact"
)
VALUE = word_set("value values details specification description information data detail")
MATRIX = word_set("property feature attribute characteristic specification criterion benefit")
TYPE_WORDS = word_set("type name method option category level kind mode title")

GENERIC_HEADINGS = word_set(
    "contact contacts details specification specifications data technical overview general information facts features "
    "product summary prices price pricing properties dimensions hours opening sheet key at a glance about us our the "
    "and your basic more table list introduction terms conditions rules rates fees costs department departments rooms "
    "plans tickets parameters reference faq help useful important specs quick location address directions delivery "
    "service services practical"
)
"""Headings that have only these words do not say what a line below them is about."""
WITH_THE = re.compile(
    r"(?:united|netherlands|philippines|czech republic|maldives|bahamas|uk|usa|us|uae|eu|european union"
    r"|dominican|isle|gambia)\b",
    re.IGNORECASE,
)

# Nouns.
_MASS = word_set(
    "tracking parking breakfast lunch dinner access support insurance wifi wi-fi internet storage delivery shipping "
    "assembly training heating tax vat help security encryption cover coverage gps nfc bluetooth water electricity "
    "linen luggage baggage service clothing electronics waste paper food tea coffee milk glass metal plastic wood "
    "paint oil asbestos property leave equipment furniture software hardware money cash credit travel transport "
    "research advice work use care cleaning medicine identification proof permission evidence theft fire vandalism hail"
)
_MASS_ENDING = re.compile(r"[a-z-]+(?:[bcdfgklmnprstvwy]ing|tion|sion|ment|age|ance|ence|ity|ness|ware|wear)")
_COUNTED = word_set(
    "reservation booking document payment statement appointment garage package subscription connection page message "
    "licence license attachment engagement department apartment reference certification function station option "
    "extension edition image ring king building listing meeting opening"
)
_NOT_PLURAL = ("ss", "us", "is", "asbestos", "gps", "wireless", "sms", "news", "ious")
_IRREGULAR = word_set("children people men women feet teeth data persons")
_COMMON_ENDING = re.compile(
    r"[a-z-]+(?:tion|ment|ing|ed|ive|ous|able|ible|ary|ity|ness|less|ful|ical|onal|ual|ntal|cial|rnal|ance|ence|ware|ings)"
)
_COMMON = word_set(
    "single double twin triple family standard express economy basic premium deluxe regular annual day half full "
    "early late adult adults child children student students senior seniors families green black white red blue "
    "yellow account cash paper card gift car bus train boat bike trip sick lost unpaid paid private public group new "
    "used first second third extra small medium large short long high low hot cold local domestic foreign urgent "
    "normal home power garden kitchen custom-made laptop customer sales street same next luggage baggage pets liquids "
    "island weekdays weekends holidays unlimited guests members groups infants pupils hazardous rental security data "
    "credit debit direct late-night fast slow over-the-counter sea garage door window roof water gas electric solar "
    "manual automatic summer winter spring autumn season open closed main weekly monthly yearly daily evening weekend"
)
_VOWEL_LETTERS = "AEFHILMNORSX"
COUNTABLE_HEADS = word_set(
    "card statement account fee transfer laptop bank room ticket pass letter parcel passport permit licence license "
    "certificate bag suitcase bottle phone camera bike car dog cat key locker copy withdrawal deposit refund visit "
    "appointment consultation check-up repair cheque loan visa payment signature table chair bed lamp shelf desk "
    "battery charger adapter"
)


def is_plural(noun: str) -> bool:
    """Whether a noun's form is that of a plural."""
    word = noun.lower()
    return word in _IRREGULAR or (len(word) > 3 and word.endswith("s") and not word.endswith(_NOT_PLURAL))


def is_mass(noun: str) -> bool:
    """Whether a noun takes no article: "tracking", "assembly"."""
    word = noun.lower()
    return word in _MASS or (word not in _COUNTED and _MASS_ENDING.fullmatch(word) is not None)


def with_article(noun: str) -> str:
    """A noun with "a" or "an" where it takes one, by its last word."""
    head = noun.split()[-1]
    if is_plural(head) or is_mass(head) or (head.isupper() and len(head) > 1):
        return noun
    first = noun.split()[0]
    spelled = first.isupper() or (len(first) > 1 and first[:2].isupper())
    vowel = (
        first[0] in _VOWEL_LETTERS if spelled else first[0].lower() in "aeio" or first.lower().startswith(("un", "um", "ul"))
    )
    if first.lower().startswith(("uni", "one", "eu")) and not spelled:
        vowel = first.lower().startswith("unin")
    return f"{'an' if vowel else 'a'} {noun}"


def is_common(word: str) -> bool:
    """Whether a capitalised word is surely no name, so that it may be written small within a sentence."""
    lower = word.lower()
    return lower in _COMMON or _COMMON_ENDING.fullmatch(lower) is not None


def singular(noun: str) -> str:
    """The singular of a plural that ends as most do."""
    if not is_plural(noun) or noun.lower() in _IRREGULAR:
        return noun
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    return noun[:-2] if noun.endswith(("sses", "xes", "ches", "shes")) else noun[:-1]
