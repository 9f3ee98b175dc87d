"""English words that ask for the same in what customers ask, and the words that a question must keep.

Written from general knowledge of what people ask a company, by hand: an encoder's nearest words hold opposites ("open" and
"closed" have a cosine of 0.70 with MiniLM). A word stands here only if it has one meaning in such questions, or the word before
it tells: "order", "charge", "book" and "change" are replaced nowhere. Each word is replaced only in the direction given.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "not no never none nobody nothing nowhere neither nor without cannot except unless hardly barely lacking free less"
)
"""Words that turn a question round. What ends in n't does as well."""

RELATIONS = _words(
    "before after until till since during between from to into onto by with within via through against among under below over "
    "above beyond beside behind near next last first than more most fewer least only just even also each every per all any "
    "both either some other another same different or and but if because while instead again already still yet always too "
    "very up down in-between off out inside outside about"
)
"""Words on which it depends what is asked, or what comes with what: they stay, in their place."""

LITTLE = _words(
    "a an the is are was were be been being am do does did can could may might would should shall will have has had of in on "
    "at for as my our your their its i you we they it me us them this that these those there please"
)
"""Words without which a question is still understood, as people leave them out in a search box."""

ASKING = _words("who whom whose when where why how what which")

NUMBERS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half quarter third double twice "
    "once single second"
)
"""Numbers in words."""


def is_fixed(word: str) -> bool:
    """Whether a word in lower case is never left out, replaced or moved away: a number, a negation, a relation."""
    return (
        any(character.isdigit() for character in word)
        or word in NUMBERS
        or word in NEGATIONS
        or word in RELATIONS
        or word.endswith(("n't", "n’t"))
    )


def _table(text: str) -> dict[str, tuple[str, ...]]:
    rows = (line.split(":") for line in text.strip().splitlines())
    return {word.strip(): tuple(other.strip() for other in others.split(",")) for word, others in rows}


WORDS = _table(
    """
additional: extra, further
annual: yearly
apartment: flat
baggage: luggage
beginning: start
bicycle: bike
bicycles: bikes
bike: bicycle
bikes: bicycles
booking: reservation
bookings: reservations
bought: purchased
broken: damaged, defective
cafe: coffee shop
car: vehicle
cars: vehicles
center: centre
centre: center
child: kid
children: kids
client: customer
clients: customers
closes: shuts
clothes: clothing
color: colour
colors: colours
colour: color
colours: colors
company: firm, business
constructed: built
contains: includes
contract: agreement
correct: right
cost: price
costs: price
costly: expensive
coupon: voucher
customer: client
customers: clients
deadline: time limit
defective: faulty, broken
delivers: ships
delivery: shipping, shipment
disease: illness
discount: price reduction, reduction
discounts: reductions
duration: length
elevator: lift
email: e-mail
e-mail: email, mail
employee: staff member, worker
employees: staff, workers
entire: whole
established: founded, set up
expensive: costly
fast: quick, quickly
faulty: defective, broken
favourite: favorite
fee: charge, price, cost
fees: charges, costs
film: movie
forbidden: prohibited
founded: established, set up
frequently: often
fridge: refrigerator
garbage: rubbish, waste
gift: present
guarantee: warranty
guests: visitors
handbook: manual
headquarters: head office, main office
holiday: vacation
illness: sickness, disease
includes: contains
incorrect: wrong
instructor: teacher, trainer
invoice: bill
invoices: bills
journey: trip
kid: child
kids: children
large: big
largest: biggest, greatest
big: large
biggest: largest
luggage: baggage
manager: head, boss
manual: handbook
manufacturer: maker, producer
maximum: max
medicine: medication
minimum: min
mobile phone: cell phone
movie: film
named: called
necessary: needed, required
needed: required, necessary
often: frequently
opening hours: opening times, business hours
opening times: opening hours, business hours
parcel: package
parcels: packages
permitted: allowed
allowed: permitted
personnel: staff, employees
pet: animal
pets: animals
photo: picture
photos: pictures
picture: photo
pictures: photos
price: cost
prices: costs
programme: program
prohibited: forbidden
quick: fast
quickly: fast
refund: money back
region: area
regulations: rules
rental: hire
required: needed, necessary
requires: needs
reservation: booking
reservations: bookings
rubbish: garbage, waste
salary: pay, wages
shipping: delivery
shop: store
shops: stores
spare parts: replacement parts
staff: employees, personnel
starts: begins
begins: starts
suitable: right, fit
supervisor: head, boss
swimming pool: pool
teacher: instructor
telephone: phone
toilet: restroom, bathroom
toilets: restrooms, bathrooms
trip: journey
tyre: tire
tyres: tires
usual: normal
vacation: holiday
voucher: coupon
vouchers: coupons
wage: salary, pay
warranty: guarantee
wrong: incorrect
yearly: annual
"""
)
"""Words, or two together, and what may stand for them. Names and what is written with a capital letter are never looked up."""

VERBS = _table(
    """
begin: start
buy: purchase
cancel: end, terminate
choose: select, pick
clean: wash
collect: pick up, fetch
contact: reach, get in touch with, write to
deliver: ship, bring, send
enrol: sign up, register
exchange: swap, replace
fetch: collect, pick up
finish: end, complete
install: set up, put in
join: sign up for
mend: repair, fix
notify: tell, inform
obtain: get
permit: allow
phone: call, ring
purchase: buy
receive: get
register: sign up, enrol
rent: hire
repair: fix, mend
request: ask for
require: need
reserve: book
return: send back, bring back, give back
select: choose, pick
ship: deliver, send
start: begin
swap: exchange
talk: speak
telephone: call, ring, phone
terminate: cancel, end
"""
)
"""Verbs, which are replaced only after one of `BEFORE_VERBS` and where no particle or noun of theirs follows."""

BEFORE_VERBS = _words("i you we they to can could must may should please")
NOT_AFTER_VERBS = _words(
    "in out up down off on to into for with back over away through ticket tickets flight trip journey address key"
)
"""Words after a verb that make another one of it ("clean out", "return ticket")."""

FORMS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(rf"\b{pattern}\b", re.IGNORECASE), others)
    for pattern, others in (
        (r"how often", ("how frequently",)),
        (r"how many(?! times)", ("what number of",)),
        (r"how old", ("what age", "at what age")),
        (r"(?:at|from) what age", ("how old",)),
        (r"how heavy", ("what weight",)),
        (r"how (?:big|large)", ("what size",)),
        (r"how deep", ("what depth",)),
        (r"how wide", ("what width",)),
        (r"how (?:warm|hot|cold)", ("what temperature",)),
        (r"at what time", ("when", "what time")),
        (r"in (?:what|which) year", ("when", "what year")),
        (r"on (?:what|which) day", ("when", "what day")),
        (r"in (?:what|which) month", ("when",)),
        (r"what kind of", ("what type of", "which type of")),
        (r"is it possible to", ("can I",)),
        (r"am I allowed to", ("may I", "can I")),
        (r"do I have to", ("must I", "do I need to")),
        (r"how do I", ("how can I", "how to")),
        (r"how can I", ("how do I", "how to")),
        (r"where is", ("in which place is", "what is the location of")),
        (r"made of", ("made from", "built of")),
        (r"made from", ("made of",)),
        (r"in charge of", ("responsible for",)),
        (r"responsible for", ("in charge of",)),
        (r"which", ("what",)),
    )
)
"""Ways to ask, and others that ask the same."""

_DAY = r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
_CLOCK = r"\b\d{1,2}(?::\d\d|\s*[ap]\.?m\b)"

BY_ANSWER: tuple[tuple[re.Pattern[str], re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(rf"^{asked}\b", re.IGNORECASE), re.compile(answered, re.IGNORECASE), others)
    for asked, answered, others in (
        (r"when", r"\b(?:1[5-9]|20)\d\d\b", ("in what year", "what year", "which year")),
        (rf"when(?!.*{_DAY})", rf"^(?!.*{_CLOCK}).*{_DAY}", ("on which day", "on what day")),
        (r"when", rf"^(?!.*{_DAY}).*{_CLOCK}", ("at what time", "what time")),
        (rf"when(?=.*{_DAY})", _CLOCK, ("at what time", "what time")),
        (r"how long", r"\b(?:second|minute|hour|day|week|month|year)s?\b", ("how much time", "for how long")),
        (r"how far", r"\b(?:kilomet|met|mile)", ("what distance",)),
        (r"how fast", r"\b(?:kilomet|miles?|knots?)\b.*\b(?:hour|second)\b", ("at what speed",)),
        (r"who", r"", ("which person",)),
    )
)
"""Beginnings of questions that mean something narrower where the answer shows what: a year, a day, a span of time."""

AMOUNT = re.compile(r"^(?:for )?how (?:long|far|heavy|deep|wide|tall|high|much time|old)\b", re.IGNORECASE)
"""Beginnings of questions for a number of what the answer counts: "how long" with "45 days" is "how many days"."""
COUNTED = re.compile(
    rf"(?<![\w.,])(?:\d[\d.,]*|{'|'.join(sorted(NUMBERS - {'once', 'twice', 'single', 'double'}))}) ([a-z]+s)\b"
)
"""What is counted, in an answer."""
