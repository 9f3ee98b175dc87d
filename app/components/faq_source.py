"""The source of a pair: the picture of its page, or the page's text, with the quote marked and in view.

What is shown as HTML here is made of constants, of a picture that this program drew, and of escaped text.
"""

from __future__ import annotations

import base64
from html import escape

import streamlit as st

from app.components.text import plain
from app.resources import shared_engine
from app.state import tab_state
from engine.domain import FaqPair, Page, Place
from engine.knowledge.proof import Proof

CONTEXT = 4000
"""Characters of the page before and after the quote that are shown."""

_HEIGHT = "clamp(18rem, 100vh - 28rem, 44rem)"
"""Of a page's picture: with the pair beside it, it fits under what stands above."""
_BOX = "border:1px solid rgba(128,128,128,.35);border-radius:.4rem;"
_SCROLL = """<script>{
  const box = document.currentScript.previousElementSibling;
  box.scrollTop = box.scrollHeight * MIDDLE - box.clientHeight / 2;
}</script>"""


def source_view(pair: FaqPair) -> None:
    """Show where a pair's quote stands."""
    where = pair.document if pair.page is None else f"{pair.document}, page {pair.page}"
    st.caption(f"{plain(where)}{f' · {plain(pair.heading)}' if pair.heading else ''}")
    proof = _proof(pair)
    if proof is None:
        with st.container(border=True):
            st.text(pair.quote or "This pair was imported: there is no page to show.")
        return
    if proof.place is None:
        st.warning("The page does not have this quote.", icon=":material/flag:")
    if proof.page.source == "ocr":
        st.caption(":material/document_scanner: The text of this page was recognised from a picture; compare it with care.")
    if proof.picture is not None:
        name = f"Page {proof.page.number} of {pair.document}"
        st.html(picture_html(proof.picture, name, proof.page, proof.place), unsafe_allow_javascript=True)
    else:
        st.html(text_html(proof))


def _proof(pair: FaqPair) -> Proof | None:
    """The page of a pair, from the last run where that had the same."""
    state = tab_state().review
    wanted = (pair.id, pair.document_id, pair.page, pair.quote, pair.place)
    if state.proof is None or state.proof[0] != wanted:
        state.proof = wanted, shared_engine().proof(pair)
    return state.proof[1]


def picture_html(picture: bytes, name: str, page: Page, place: Place | None) -> str:
    """A page's picture in a box that is scrolled to the quote. The one thing in it from outside is the name, escaped."""
    data = base64.b64encode(picture).decode("ascii")
    shape = f"aspect-ratio:{page.width:.1f}/{page.height:.1f};" if page.width and page.height else ""
    image = f'<img alt="{escape(name)}" src="data:image/png;base64,{data}" style="display:block;width:100%;{shape}">'
    box = f'<div tabindex="0" style="{_BOX}max-height:{_HEIGHT};overflow:auto;position:relative">{image}</div>'
    return box + _SCROLL.replace("MIDDLE", f"{_middle(page, place):.4f}")


def text_html(proof: Proof) -> str:
    """A page's text with the quote marked between what stands before and after it; each part scrolls by itself.

    What stands before is shown from its end, by a column in reverse, so that no script is needed.
    """
    text, place = proof.page.text, proof.place
    if place is None:
        return f'<div style="{_BOX}{_TEXT}max-height:30rem">{escape(text[: 2 * CONTEXT])}</div>'
    first, last = max(0, place.start - CONTEXT), min(len(text), place.end + CONTEXT)
    before = ("… " if first else "") + text[first : place.start]
    after = text[place.end : last] + (" …" if last < len(text) else "")
    parts = [
        f'<div style="{_TEXT}max-height:14rem;display:flex;flex-direction:column-reverse"><div>{escape(before)}</div></div>',
        f'<div style="padding:0 .9rem"><mark style="{_MARK}">{escape(text[place.start : place.end])}</mark></div>',
        f'<div style="{_TEXT}max-height:14rem">{escape(after.lstrip())}</div>',
    ]
    return f'<div style="{_BOX}padding:.3rem 0">{"".join(parts)}</div>'


_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;overflow:auto;padding:.3rem .9rem;opacity:.85;"
_MARK = "white-space:pre-wrap;overflow-wrap:anywhere;color:inherit;background:rgba(250,190,30,.4);border-radius:.2rem"


def _middle(page: Page, place: Place | None) -> float:
    """How far down the page the quote is, in 0…1."""
    if place is None or not place.boxes or not page.height:
        return 0.0
    top, bottom = min(box[1] for box in place.boxes), max(box[3] for box in place.boxes)
    return min(1.0, max(0.0, (top + bottom) / 2 / page.height))
