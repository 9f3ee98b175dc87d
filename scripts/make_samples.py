"""Write the sample documents in data/samples/: four fictional organisations' texts for their customers.

Run with the project's Python from anywhere: `python scripts/make_samples.py [FOLDER]`. The same bytes come out each time.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import docx.document
import pymupdf

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
FIXED_DATE = (2025, 1, 1, 0, 0, 0)

# --- PDF: headings, a ruled table, two columns, running header and footer -------------------------------------------------

PDF_STYLE = """
body { font-family: sans-serif; font-size: 10.5pt; line-height: 1.3; text-align: left; }
h1 { font-size: 21pt; margin: 0 0 8pt 0; } h2 { font-size: 14pt; margin: 10pt 0 4pt 0; }
p { margin: 0 0 6pt 0; } li { margin-bottom: 3pt; }
"""

PDF_INTRODUCTION = """
<h1>Customer Handbook</h1>
<p>This handbook answers the questions that customers of the Aurora Kettle Company ask most often. It is valid from 1
March 2025 and replaces all earlier editions. The Aurora Kettle Company was founded in 1987 by Ingrid Solberg in the town
of Fernhaven. The company has 64 employees and makes every kettle in its own workshop at 12 Harbour Lane.</p>
<h2>Ordering</h2>
<p>You can order on our website, by telephone or in our shop. The smallest order that we accept is 15 euros. Every order
is confirmed by e-mail within 30 minutes. You can change or cancel an order free of charge until it has been packed, which
is usually 4 hours after you placed it. Orders of more than 20 kettles count as wholesale and receive a discount of 12
percent.</p>
<p>We accept credit cards, bank transfer and gift cards. We do not accept cheques or cash on delivery. When you pay by
bank transfer, we keep your order for 7 days; if the money has not arrived by then, the order is cancelled. A kettle can
be engraved with up to 18 letters for 9 euros. Engraving adds 3 working days to the delivery time.</p>
<h2>Gift cards</h2>
<p>Gift cards are sold in amounts of 25, 50 and 100 euros. A gift card is valid for 3 years from the day on which it was
bought. The balance of a gift card cannot be paid out in cash. If you lose a gift card, we replace it when you show us the
receipt.</p>
<h2>Privacy</h2>
<p>We store your address and your orders for 10 years because tax law requires it. We never sell customer data to other
companies. You can ask for a copy of your data by writing to privacy@aurora-kettle.example, and we answer within 14
days.</p>
"""

PDF_DELIVERY = """
<h2>Delivery</h2>
<p>Orders that reach us before 2 p.m. on a working day leave our warehouse on the same day. The table shows how long each
kind of delivery takes and what it costs. Delivery is free of charge for standard orders above 60 euros.</p>
"""

PDF_DELIVERY_TABLE = (
    ("Delivery", "Time", "Price", "Tracking"),
    ("Standard", "3 to 5 working days", "4.90 euros", "yes"),
    ("Express", "next working day", "12.50 euros", "yes"),
    ("Pick-up point", "2 to 4 working days", "2.90 euros", "yes"),
    ("Island delivery", "8 working days", "19.00 euros", "no"),
)

PDF_RETURNS = """
<p>Parcels are handed over to a neighbour only when you allow it in your account. The carrier tries to deliver a parcel 2
times. After that it waits at the nearest pick-up point for 10 days. If a parcel arrives damaged, please send us a
photograph within 48 hours, and we will send a new kettle at no cost.</p>
<h2>Returns and refunds</h2>
<p>You may return any unused kettle within 45 days of delivery, without giving a reason. The return label is inside the
parcel and costs nothing. Engraved kettles cannot be returned unless they are faulty. We refund the price within 6 working
days after the kettle has reached us, and always in the way in which you paid.</p>
<p>Please keep these rules in mind when you send something back:</p>
<ul>
<li>The kettle must be clean, dry and in its original box.</li>
<li>Opened tea and cleaning tablets cannot be returned for reasons of hygiene.</li>
<li>Refunds for express delivery do not include the express fee of 12.50 euros.</li>
<li>A return without the order number takes up to 15 working days.</li>
</ul>
<p>Kettles that were bought in our shop can be exchanged in the shop within 30 days when you bring the receipt.</p>
"""

PDF_WARRANTY = """
<h2>Warranty</h2>
<p>Every kettle has a warranty of 5 years from the day of purchase. The heating element of the model Borealis has a longer
warranty of 8 years. The warranty covers faults of material and workmanship. It does not cover damage from limescale, from
a fall or from use in a restaurant. To make use of the warranty, send us the receipt and the serial number, which is
printed under the base of the kettle. You do not need to register your kettle.</p>
<p>When a kettle fails during the warranty, we repair it or replace it within 10 working days. You may borrow a kettle
from us during the repair for a deposit of 20 euros.</p>
<h2>Repairs</h2>
<p>After the warranty has ended, a repair costs 29 euros plus spare parts. We keep spare parts for each model for at least
12 years after it was last sold. A new lid costs 7 euros and a new filter costs 4 euros. Repairs take 8 working days on
average.</p>
<h2>Care</h2>
<p>Remove limescale every 6 weeks, or every 3 weeks if your water is hard. Use 2 cleaning tablets for a litre of water and
let the solution work for 20 minutes. Never put the kettle or its base into a dishwasher. Wipe the outside with a damp
cloth only. The filter should be replaced once a year.</p>
<h2>Safety</h2>
<p>The kettle switches itself off when it holds less than 0.3 litres of water. The largest amount that it can hold is 1.7
litres. Children under 8 years should not use the kettle. Use it only with the base that came with it.</p>
<h2>Models</h2>
<p>The model Borealis keeps water warm for 2 hours and costs 89 euros. The model Polaris is made of glass and costs 69
euros. The travel kettle Comet weighs 540 grams, holds 0.6 litres and costs 39 euros. All models use 230 volts. The
Borealis is available in white, black and copper.</p>
"""

PDF_CONTACT = """
<h2>Opening hours</h2>
<p>Our shop at 12 Harbour Lane in Fernhaven is open from Monday to Friday from 9 a.m. to 6 p.m. and on Saturday from 10
a.m. to 4 p.m. The shop is closed on Sundays and on public holidays. In December the shop is also open on Sundays from
noon to 5 p.m. Guided tours of the workshop take place on the first Thursday of each month at 3 p.m. A tour lasts 75
minutes and costs 6 euros for each person. Groups can have at most 14 people.</p>
<h2>Customer service</h2>
<p>You can call customer service on 0555 010 020 from Monday to Saturday between 8 a.m. and 8 p.m. Calls are free of
charge. E-mails to help@aurora-kettle.example are answered within one working day. The chat on our website is staffed
until 10 p.m. every day. If you are not satisfied with an answer, write to our ombudsperson Tomas Lindqvist, who replies
within 5 working days.</p>
<h2>Loyalty programme</h2>
<p>Members of the Aurora Circle collect 1 point for each euro that they spend. For 200 points you receive a voucher of 10
euros. Points expire after 24 months. Membership is free, and you can leave at any time in your account. On your birthday
you receive 25 extra points. Members get a discount of 15 percent on spare parts.</p>
<h2>Recycling</h2>
<p>We take back old kettles of any make free of charge in our shop. For each old Aurora kettle that you bring, we give you
a voucher of 5 euros. In 2024 we recycled 3,120 kettles. Our packaging is made of 95 percent recycled paper.</p>
"""


def write_pdf(path: Path) -> None:
    """A handbook of four A4 pages."""
    document = pymupdf.open()
    for _ in range(4):
        document.new_page(width=595, height=842)
    pages = list(document)
    _flow(pages[0], PDF_INTRODUCTION, [pymupdf.Rect(56, 70, 539, 780)])
    below = _flow(pages[1], PDF_DELIVERY, [pymupdf.Rect(56, 70, 539, 780)])
    below = _draw_table(pages[1], below + 8, PDF_DELIVERY_TABLE)
    _flow(pages[1], PDF_RETURNS, [pymupdf.Rect(56, below + 12, 539, 780)])
    _flow(pages[2], PDF_WARRANTY, [pymupdf.Rect(56, 70, 285, 520), pymupdf.Rect(310, 70, 539, 780)])
    _flow(pages[3], PDF_CONTACT, [pymupdf.Rect(56, 70, 539, 780)])
    for number, page in enumerate(pages, start=1):
        page.insert_text((56, 45), "Aurora Kettle Company · Customer Handbook", fontsize=8, fontname="helv")
        page.insert_text((275, 812), f"Page {number} of {len(pages)}", fontsize=8, fontname="helv")
    document.set_metadata({"title": "Customer Handbook", "author": "Aurora Kettle Company"})
    document.subset_fonts()
    document.save(path, garbage=4, deflate=True, deflate_fonts=True, no_new_id=True)


def _flow(page: pymupdf.Page, html: str, boxes: list[pymupdf.Rect]) -> float:
    """Let a text run through boxes of a page, one after the other; returns where it ends."""
    story = pymupdf.Story(html, user_css=PDF_STYLE)
    buffer = io.BytesIO()
    writer = pymupdf.DocumentWriter(buffer)
    device = writer.begin_page(page.rect)
    for box in boxes:
        more, filled = story.place(box)
        story.draw(device)
        if not more:
            break
    else:
        raise ValueError(f"The text does not fit on page {page.number + 1}.")
    writer.end_page()
    writer.close()
    with pymupdf.open("pdf", buffer.getvalue()) as drawn:
        page.show_pdf_page(page.rect, drawn, 0)
    return float(filled[3])


def _draw_table(page: pymupdf.Page, top: float, rows: tuple[tuple[str, ...], ...]) -> float:
    """Draw a ruled table; returns where it ends."""
    edges = (56, 170, 310, 420, 539)
    height = 20
    for at, row in enumerate(rows):
        y = top + at * height
        for left, right, cell in zip(edges, edges[1:], row, strict=False):
            page.draw_rect(pymupdf.Rect(left, y, right, y + height), width=0.7)
            page.insert_text((left + 6, y + 14), cell, fontsize=10, fontname="hebo" if at == 0 else "helv")
    return top + len(rows) * height


# --- DOCX: headings, a list, a table ---------------------------------------------------------------------------------------

DOCX_TEXT = """\
# Guest Information

Welcome to the Hotel Silver Heron. This leaflet tells you everything you need to know for your stay.

## Arrival and departure

Check-in begins at 3 p.m. and the reception desk is staffed around the clock. Check-out is at 11 a.m. at the latest. A
late check-out until 2 p.m. costs 25 euros and must be requested on the evening before. If you arrive early, we keep your
luggage free of charge.

You can cancel a booking free of charge until 48 hours before arrival. After that, we charge 80 percent of the first
night. The city tax is 2.50 euros for each adult and night, and children under 16 years do not pay it.

## Meals

Breakfast is served from 6.30 a.m. to 10 a.m. on weekdays and until 11 a.m. at weekends. Breakfast costs 16 euros for
adults and 8 euros for children under 12 years. The restaurant Lakeside is open for dinner from 6 p.m. to 10 p.m. and is
closed on Mondays. Please tell us about allergies at least 24 hours before your meal.

## Rooms

The hotel has 48 rooms on 4 floors. All rooms are non-smoking, and smoking in a room costs a cleaning fee of 150 euros.
These are the room rates for one night without breakfast.

[table]

## Services

Wireless internet is free of charge in the whole hotel; the network is called HeronGuest and the password is printed on
your key card.

- The sauna on the fourth floor is open daily from 4 p.m. to 9 p.m. and is free for guests.

- Bicycles can be rented at the reception desk for 14 euros a day.

- Laundry that you hand in before 9 a.m. is returned on the same day by 7 p.m.

- The shuttle bus to the airport leaves every 40 minutes and costs 9 euros for each person.

## Parking and pets

A space in the underground garage costs 18 euros for each night. The garage is 1.95 metres high. There are 6 charging
points for electric cars, and charging costs 0.45 euros for each kilowatt hour.

Dogs are welcome for 12 euros a night, but they are not allowed in the restaurant. At most 2 dogs may stay in one room.

## Quiet hours and emergencies

Quiet hours are from 10 p.m. to 7 a.m. In an emergency, dial 9 on the telephone in your room. A first-aid kit and a
defibrillator are kept at the reception desk. The fire assembly point is the fountain in front of the main entrance.
"""
"""Paragraphs between empty lines; the mark in front names the style."""

DOCX_STYLES = {"#": "Title", "##": "Heading 1", "-": "List Bullet"}

DOCX_TABLE = (
    ("Room", "Size", "Rate"),
    ("Single room", "16 square metres", "95 euros"),
    ("Double room", "24 square metres", "135 euros"),
    ("Family room", "36 square metres", "180 euros"),
    ("Tower suite", "52 square metres", "260 euros"),
)


def write_docx(path: Path) -> None:
    """A hotel's leaflet."""
    document = docx.Document()
    for paragraph in DOCX_TEXT.split("\n\n"):
        text = " ".join(paragraph.split())
        mark, _, rest = text.partition(" ")
        if text == "[table]":
            _add_table(document, DOCX_TABLE)
        elif mark in DOCX_STYLES:
            document.add_paragraph(rest, style=DOCX_STYLES[mark])
        else:
            document.add_paragraph(text)
    buffer = io.BytesIO()
    document.save(buffer)
    _repack(buffer, path)


def _add_table(document: docx.document.Document, rows: tuple[tuple[str, ...], ...]) -> None:
    table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, cells, strict=True):
            cell.text = value


def _repack(buffer: io.BytesIO, path: Path) -> None:
    """Write an archive anew with fixed times, so that its bytes are the same each time."""
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name, FIXED_DATE), source.read(name), zipfile.ZIP_DEFLATED)


# --- Markdown and HTML -----------------------------------------------------------------------------------------------------

MARKDOWN = """\
---
title: Plans and support
product: Tallybird
---

# Tallybird: plans and support

Tallybird is a time-tracking service for small teams. These terms are valid from 1 January 2025.

## Plans

Every new account starts with a free trial of 21 days. No credit card is needed for the trial. When the trial ends, the
account changes to the Solo plan unless you choose another one.

| Plan | Price per month | Users | Projects | Storage |
|------|-----------------|-------|----------|---------|
| Solo | 0 euros | 1 | 3 | 1 GB |
| Team | 8 euros for each user | up to 25 | 100 | 50 GB |
| Studio | 14 euros for each user | up to 200 | unlimited | 500 GB |

If you pay for a whole year in advance, you get a discount of 20 percent. Schools and charities receive the Team plan at
half price.

## Billing

Invoices are sent on the 3rd day of each month by e-mail. We accept credit cards and direct debit. If a payment fails, we
try again after 5 days, and after 3 failed attempts the account becomes read-only. You can change to a higher plan at any
time, and the change takes effect at once. A change to a lower plan takes effect at the end of the month.

## Limits

- A single file may be at most 200 MB.
- The programming interface allows 600 requests per minute for each account.
- Deleted projects can be restored for 60 days.
- Reports can cover at most 36 months.

## Support

The support team answers from Monday to Friday between 7 a.m. and 7 p.m. (Central European Time). On the Team plan, we
answer within 8 hours; on the Studio plan, we answer within 2 hours. Users of the Solo plan get help in the community
forum. Support is available in English, German and Portuguese. You reach the support team at support@tallybird.example.

## Availability and backups

We promise that the service is available 99.8 percent of each month. If we miss this, you receive a credit of 10 percent
of the monthly price. Planned maintenance takes place on Sundays between 3 a.m. and 5 a.m. Backups are made every 6 hours
and are kept for 35 days. All data is stored in data centres in Oslo and Lisbon.

## Cancellation

You can cancel your plan at any time in the account settings, and the cancellation takes effect at the end of the paid
period. After that, you can export your data for 90 days. Then all data is deleted for good. Fees that were paid for a
whole year are refunded only when you cancel within the first 30 days.
"""

HTML = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Visit the Tidewater Museum</title><style>body { margin: 2em }</style></head>
<body>
<nav><a href="/">Home</a> <a href="/tickets">Tickets</a></nav>
<main>
<h1>Visit the Tidewater Museum</h1>
<h2>Opening hours</h2>
<p>The museum is open from Tuesday to Sunday from 10 a.m. to 5 p.m. It is closed on Mondays and on 24 and 25 December. On
the last Friday of each month the museum stays open until 9 p.m. The last admission is 45 minutes before closing time.</p>
<h2>Tickets</h2>
<table>
<tr><th>Ticket</th><th>Price</th></tr>
<tr><td>Adults</td><td>11 euros</td></tr>
<tr><td>Students and seniors</td><td>7 euros</td></tr>
<tr><td>Families with up to 3 children</td><td>24 euros</td></tr>
<tr><td>Annual pass</td><td>38 euros</td></tr>
</table>
<p>Children under 6 years have free admission. Admission is free for everybody on the first Sunday of each month. Tickets
that were bought online can be moved to another day until midnight before the visit.</p>
<h2>Guided tours</h2>
<ul>
<li>The tour of the lighthouse starts daily at 11.30 a.m. and lasts 50 minutes.</li>
<li>The tour of the submarine costs 5 euros and is not suitable for children under 10 years.</li>
<li>Groups of more than 12 people must book at least 2 weeks ahead.</li>
</ul>
<h2>Getting here</h2>
<p>Tram line 6 stops in front of the museum at the stop Old Shipyard. The car park has 80 spaces and costs 3 euros for
each visit. All floors can be reached with a wheelchair, and 4 wheelchairs can be borrowed at the cash desk free of
charge.</p>
<h2>House rules</h2>
<p>Photographs without flash are allowed. Bags larger than 40 centimetres must be left in a locker, which needs a coin of
1 euro. Dogs are not allowed, except for assistance dogs. The café is open until 4.30 p.m.</p>
</main>
<footer>Tidewater Museum, 1 Quay Street</footer>
</body></html>
"""


def make_samples(folder: Path) -> list[Path]:
    """Write all samples into a folder, which is made where it is missing; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        folder / name
        for name in ("aurora-kettle-handbook.pdf", "silver-heron-guests.docx", "tallybird-plans.md", "tidewater-museum.html")
    ]
    write_pdf(paths[0])
    write_docx(paths[1])
    paths[2].write_text(MARKDOWN, encoding="utf-8", newline="\n")
    paths[3].write_text(HTML, encoding="utf-8", newline="\n")
    return paths


if __name__ == "__main__":
    for written in make_samples(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES):
        print(written, written.stat().st_size)
