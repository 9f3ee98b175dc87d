"""CSV files for spreadsheets: how every export is written, and what is done about texts that look like formulas.

Lives here: `to_csv`, and `leads_to_csv` for the app and the command line. Which columns pairs have is `engine.faq.export`'s.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from engine.domain import Lead

_FORMULA = re.compile(r"'*(?:[=@＝＠\t\r\n]|[+\-＋－](?![\d ()./-]+\Z))")
"""A spreadsheet may take a cell that begins like this for a formula (OWASP, CSV injection). A telephone number and a plain
negative number are none: they stay as they are. Apostrophes in front count along, so that `cell_text` knows ours."""


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV file with commas and CRLF (RFC 4180).

    None is an empty cell. A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def leads_to_csv(leads: Sequence[Lead], agents: Mapping[str, str]) -> str:
    """Leads with a column for each field that any of them has, and times in ISO 8601. `agents` maps identifiers to names."""
    fields = list(dict.fromkeys(name for lead in leads for name in lead.fields))
    return to_csv(
        ["agent", "conversation", *fields, "created_at", "updated_at"],
        [
            [
                agents.get(lead.agent_id, ""),
                lead.conversation_id,
                *(lead.fields.get(name) for name in fields),
                lead.created_at.isoformat(),
                lead.updated_at.isoformat(),
            ]
            for lead in leads
        ],
    )


def cell_text(cell: str) -> str:
    """The text that `to_csv` was given for a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text
