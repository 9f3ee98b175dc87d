"""What was spent on providers."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from engine.db.session import Database
from engine.db.tables import SpendingRow
from engine.domain import new_id
from engine.errors import BudgetError, NotFoundError


class SpendingRepository:
    """An append-only record of US dollars. A request has a row with what it may cost, and a second one that corrects it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def reserve(self, model: str, usd: float, at: datetime, limit_usd: float | None) -> str:
        """Write down what a request may cost, and give it an identifier. The check and the record are one transaction.

        Raises:
            BudgetError: the month's sum would go beyond the limit.
        """
        month, request = month_of(at), new_id()
        with self._db.write() as session:
            spent = _sum(session, month)
            if limit_usd is not None and spent + usd > limit_usd:
                left = max(limit_usd - spent, 0.0)
                raise BudgetError(
                    f"A request to {model} may cost {usd:.4f} USD; {left:.4f} of this month's {limit_usd:.2f} are left.",
                    hint="Raise NEXUS_BUDGET_USD, ask for shorter answers, or use a local model until next month.",
                )
            session.add(SpendingRow(request=request, month=month, model=model, usd=usd, created_at=at))
        return request

    def settle(self, request: str, usd: float, at: datetime) -> None:
        """Write down what a request did cost, in the month in which it was reserved.

        Raises:
            NotFoundError: there is no such request.
        """
        with self._db.write() as session:
            rows = session.exec(select(SpendingRow).where(SpendingRow.request == request)).all()
            if not rows:
                raise NotFoundError(f"no request {request!r} was recorded")
            correction = usd - sum(row.usd for row in rows)
            first = rows[0]
            if correction:
                session.add(SpendingRow(request=request, month=first.month, model=first.model, usd=correction, created_at=at))

    def of_month(self, at: datetime) -> float:
        """US dollars of the calendar month (UTC) that this moment lies in, requests in flight included."""
        with self._db.read() as session:
            return _sum(session, month_of(at))


def month_of(at: datetime) -> str:
    """The calendar month in UTC: `2026-11`."""
    return at.astimezone(UTC).strftime("%Y-%m")


def _sum(session: Session, month: str) -> float:
    total = session.exec(select(func.sum(SpendingRow.usd)).where(col(SpendingRow.month) == month)).one()
    return max(float(total or 0.0), 0.0)
