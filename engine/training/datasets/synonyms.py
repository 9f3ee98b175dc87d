"""English words that ask for the same in what customers ask, and the words that a question must keep.

Written from general knowledge of what people ask a company, by hand: an encoder's nearest words hold opposites ("open" and
"closed" have a cosine of 0.70 with MiniLM). A word stands here only if it has one meaning in such questions, or the word before
it tells: "order", "charge", "book" and "change" are replaced nowhere. Each word is replaced only in the direction given.
"""

from __future__ import annotations


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
