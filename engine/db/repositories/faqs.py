"""FAQ pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, cast

from pydantic import JsonValue
from sqlalchemy import ColumnElement, and_, delete, func, not_, or_, update
from sqlmodel import Session, col, select

from engine.db.session import Database, folded
from engine.db.tables import FaqChangeRow, FaqRow
from engine.domain import ASKED_TWICE, DUPLICATE_REASON, FaqPair, FaqQuery, FaqStatus, Place, new_id, utc_now
from engine.errors import NotFoundError

KEPT_ACTIONS = 100
"""So many actions of reviewers can be undone in a collection."""
_MOST_IDS = 500
_PLAIN = ("question", "answer", "quote", "page", "score", "reason", "duplicate_of", "chunk_id")
_CHANGE_ORDER = col(FaqChangeRow.id)
_LOST = and_(col(FaqRow.status) == FaqStatus.REJECTED, col(FaqRow.reason) == DUPLICATE_REASON)
"""Pairs that were put aside for a better one, and that nobody has decided about since."""


class FaqRepository:
    """The pairs of all collections, and what reviewers did to them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, pairs: Sequence[FaqPair]) -> None:
        """Store pairs."""
        with self._db.write() as session:
            session.add_all(FaqRow(**asdict(pair)) for pair in pairs)

    def list(self, collection_id: str, status: FaqStatus | None = None, ids: Sequence[str] | None = None) -> Sequence[FaqPair]:
        """The pairs of a collection in the order in which they were made, or those with a status or identifier."""
        query = select(FaqRow).where(FaqRow.collection_id == collection_id)
        if status is not None:
            query = query.where(FaqRow.status == status)
        queries = [query] if ids is None else [query.where(col(FaqRow.id).in_(some)) for some in batches(ids)]
        with self._db.read() as session:
            found = [_to_pair(row) for part in queries for row in session.exec(part)]
        return sorted(found, key=_age)

    def find(self, collection_id: str, query: FaqQuery) -> Sequence[FaqPair]:
        """The pairs of a collection that a query means, in the order in which they were made."""
        statement = select(FaqRow).where(FaqRow.collection_id == collection_id, *_conditions(query))
        with self._db.read() as session:
            return [_to_pair(row) for row in session.exec(statement.order_by(col(FaqRow.created_at), col(FaqRow.id)))]

    def count_by_status(self, collection_id: str, query: FaqQuery = FaqQuery()) -> dict[FaqStatus, int]:
        """How many of the pairs that a query means have each status."""
        conditions = (col(FaqRow.collection_id) == collection_id, *_conditions(query))
        statement = select(FaqRow.status, func.count()).where(*conditions).group_by(FaqRow.status)
        with self._db.read() as session:
            counted = {FaqStatus(status): count for status, count in session.exec(statement)}
        return {status: counted.get(status, 0) for status in FaqStatus}

    def document_names(self, collection_id: str) -> Sequence[str]:
        """The names of the documents that pairs of a collection come from, sorted."""
        statement = select(FaqRow.document).where(FaqRow.collection_id == collection_id, FaqRow.document != "").distinct()
        with self._db.read() as session:
            return sorted(session.exec(statement))

    def get(self, faq_id: str) -> FaqPair:
        """One pair.

        Raises:
            NotFoundError: there is none with this identifier.
        """
        with self._db.read() as session:
            row = session.get(FaqRow, faq_id)
            if row is None:
                raise NotFoundError(f"no FAQ pair {faq_id}", hint="List the pairs with `nexus faq list`.")
            return _to_pair(row)

    def get_all(self, ids: Sequence[str]) -> Sequence[FaqPair]:
        """These pairs, each once, in this order.

        Raises:
            NotFoundError: one of them is gone.
        """
        with self._db.read() as session:
            return [_to_pair(row) for row in _rows(session, ids)]

    def put_aside_for(self, ids: Sequence[str]) -> Sequence[FaqPair]:
        """The pairs that were rejected because these are better, in the order in which they were made."""
        found: list[FaqPair] = []
        with self._db.read() as session:
            for some in batches(ids):
                linked = select(FaqRow).where(col(FaqRow.duplicate_of).in_(some), _LOST)
                found += map(_to_pair, session.exec(linked))
        return sorted(found, key=_age)

    def change(self, ids: Sequence[str], action: str, change: Callable[[FaqPair], FaqPair]) -> Sequence[FaqPair]:
        """Change pairs, all or none, and record how they were, so that `take_back` can restore them.

        Args:
            ids: the pairs.
            action: what is done, for the record.
            change: makes the new pair of the stored one. It runs while nobody else can write; when it raises, nothing is done.

        Returns:
            The pairs as they are now, in the order of `ids`.

        Raises:
            NotFoundError: one of them is gone.
        """
        batch, now = new_id(), utc_now()
        changed: list[FaqPair] = []
        with self._db.write() as session:
            for row in _rows(session, ids):
                before = _to_pair(row)
                after = change(before)
                _update(row, after)
                replaced = _replaced(before, after)
                if replaced:
                    session.add(
                        FaqChangeRow(
                            collection_id=before.collection_id,
                            batch=batch,
                            faq_id=before.id,
                            action=action,
                            before=replaced,
                            created_at=now,
                        )
                    )
                changed.append(after)
            session.flush()
            for collection_id in {pair.collection_id for pair in changed}:
                _forget_old(session, collection_id)
        return changed

    def take_back(self, collection_id: str, restore: Callable[[FaqPair], FaqPair]) -> tuple[str, Sequence[FaqPair]] | None:
        """Undo the newest recorded action on pairs of a collection.

        Args:
            collection_id: the collection.
            restore: gets each pair as it was and gives what is stored.

        Returns:
            The action and the pairs as they are now; None where nothing is recorded.
        """
        mine = col(FaqChangeRow.collection_id) == collection_id
        with self._db.write() as session:
            newest = session.exec(select(FaqChangeRow).where(mine).order_by(col(FaqChangeRow.id).desc()).limit(1)).first()
            if newest is None:
                return None
            action = newest.action
            found = session.exec(select(FaqChangeRow).where(mine, FaqChangeRow.batch == newest.batch).order_by(_CHANGE_ORDER))
            restored: list[FaqPair] = []
            for record in found.all():
                row = session.get_one(FaqRow, record.faq_id)  # its records go when a pair goes
                was = _as_it_was(_to_pair(row), record.before)
                is_lost = was.duplicate_of is not None and session.get(FaqRow, was.duplicate_of) is None
                pair = restore(_unlinked(was) if is_lost else was)
                _update(row, pair)
                restored.append(pair)
                session.delete(record)
        return action, restored


def release_duplicates(session: Session, ids: Sequence[str]) -> None:
    """Let the pairs that were rejected because these are better wait for review again: these are gone, or prove nothing.

    Those that only carry the remark that one of these asks the same lose it.
    """
    for some in batches(ids):
        linked = col(FaqRow.duplicate_of).in_(some)
        session.execute(update(FaqRow).where(linked, _LOST).values(status=FaqStatus.PENDING, reason="", duplicate_of=None))
        unremarked = func.trim(func.replace(FaqRow.reason, ASKED_TWICE, ""))
        waiting = col(FaqRow.status) == FaqStatus.PENDING
        session.execute(update(FaqRow).where(linked, waiting).values(reason=unremarked, duplicate_of=None))


def _conditions(query: FaqQuery) -> list[ColumnElement[bool]]:
    """What a query asks for, as SQL."""
    found: list[ColumnElement[bool]] = [col(FaqRow.score).between(query.min_score, query.max_score)]
    if query.statuses:
        found.append(col(FaqRow.status).in_([status.value for status in query.statuses]))
    if query.document is not None:
        found.append(or_(col(FaqRow.document) == query.document, col(FaqRow.document_id) == query.document))
    if query.flagged is not None:
        flagged = and_(col(FaqRow.reason) != "", col(FaqRow.status) == FaqStatus.PENDING.value)
        found.append(flagged if query.flagged else not_(flagged))
    if query.duplicates is not None:
        column = col(FaqRow.duplicate_of)
        found.append(column.is_not(None) if query.duplicates else column.is_(None))
    if query.duplicate_of is not None:
        found.append(col(FaqRow.duplicate_of) == query.duplicate_of)
    searched = func.folded(FaqRow.question + "\n" + FaqRow.answer + "\n" + FaqRow.quote)
    found += [func.instr(searched, word) > 0 for word in folded(query.text).split()]
    return found


def _rows(session: Session, ids: Sequence[str]) -> list[FaqRow]:
    rows: dict[str, FaqRow] = {}
    for some in batches(ids):
        rows.update({row.id: row for row in session.exec(select(FaqRow).where(col(FaqRow.id).in_(some)))})
    missing = next((faq_id for faq_id in ids if faq_id not in rows), None)
    if missing is not None:
        raise NotFoundError(f"no FAQ pair {missing}", hint="List the pairs with `nexus faq list`.")
    return [rows[faq_id] for faq_id in dict.fromkeys(ids)]


def batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The identifiers in parts that one statement may have."""
    return (ids[start : start + _MOST_IDS] for start in range(0, len(ids), _MOST_IDS))


def _age(pair: FaqPair) -> tuple[datetime, str]:
    return pair.created_at, pair.id


def _update(row: FaqRow, pair: FaqPair) -> None:
    for name, value in _values(pair).items():
        setattr(row, name, value)


def _values(pair: FaqPair) -> dict[str, JsonValue]:
    """What review may change of a pair, as the table holds it."""
    values: dict[str, JsonValue] = {name: getattr(pair, name) for name in _PLAIN}
    place = pair.place
    boxes: list[JsonValue] = [list(box) for box in place.boxes] if place else []
    values["status"] = pair.status.value
    values["parts"] = cast(dict[str, JsonValue], dict(pair.parts))
    values["place"] = None if place is None else {"start": place.start, "end": place.end, "boxes": boxes}
    return values


def _replaced(before: FaqPair, after: FaqPair) -> dict[str, JsonValue]:
    """The values that a change has replaced; none where nothing has changed."""
    now = _values(after)
    return {name: value for name, value in _values(before).items() if value != now[name]}


def _with_values(pair: FaqPair, values: Mapping[str, JsonValue]) -> FaqPair:
    restored: dict[str, Any] = dict(values)
    if "status" in restored:
        restored["status"] = FaqStatus(restored["status"])
    if "place" in restored:
        restored["place"] = _to_place(restored["place"])
    return replace(pair, **restored)


def _as_it_was(pair: FaqPair, before: Mapping[str, JsonValue]) -> FaqPair:
    """A stored pair with the values of a record of it, where a better one may have displaced it since the record was made."""
    if pair.status is not FaqStatus.REJECTED or pair.reason != DUPLICATE_REASON:
        return _with_values(pair, before)
    if "status" not in before:  # it stays displaced
        return _with_values(pair, {name: value for name, value in before.items() if name not in ("reason", "duplicate_of")})
    unlinked = {"reason": "", "duplicate_of": None} if before["status"] != FaqStatus.REJECTED else {}
    return _with_values(pair, {**unlinked, **before})


def _unlinked(pair: FaqPair) -> FaqPair:
    """A pair as it is where the one that asks the same is gone; see `release_duplicates`."""
    if pair.status is FaqStatus.REJECTED and pair.reason == DUPLICATE_REASON:
        return replace(pair, status=FaqStatus.PENDING, reason="", duplicate_of=None)
    return replace(pair, reason=pair.reason.replace(ASKED_TWICE, "").strip(), duplicate_of=None)


def _forget_old(session: Session, collection_id: str) -> None:
    """Keep the newest `KEPT_ACTIONS` of a collection."""
    mine = col(FaqChangeRow.collection_id) == collection_id
    newest = func.max(FaqChangeRow.id)
    old = select(FaqChangeRow.batch).where(mine).group_by(FaqChangeRow.batch).order_by(newest.desc()).offset(KEPT_ACTIONS)
    batches = list(session.exec(old))
    if batches:
        session.execute(delete(FaqChangeRow).where(mine, col(FaqChangeRow.batch).in_(batches)))


def _to_pair(row: FaqRow) -> FaqPair:
    return FaqPair(**{**row.model_dump(), "status": FaqStatus(row.status), "place": _to_place(row.place)})


def _to_place(data: Mapping[str, JsonValue] | None) -> Place | None:
    if data is None:
        return None
    boxes = cast(list[list[float]], data["boxes"])
    return Place(cast(int, data["start"]), cast(int, data["end"]), tuple((box[0], box[1], box[2], box[3]) for box in boxes))
