"""What may be spent on providers in a calendar month (UTC), and the record of what was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from engine.db.repositories.spending import SpendingRepository
from engine.domain import utc_now
from engine.errors import ConfigError
from engine.llm.cloud.prices import Prices


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that a request in flight may need. Its process may die: then it counts as spent."""

    id: str | None
    estimate_usd: float


class Budget:
    """Admits requests as long as the month's spending, requests in flight included, stays within the limit.

    The record is shared by all processes over one home.
    """

    def __init__(
        self, spending: SpendingRepository, limit_usd: float | None = None, now: Callable[[], datetime] = utc_now
    ) -> None:
        """Record what is spent; None for no limit."""
        self._spending = spending
        self._limit = limit_usd
        self._now = now

    def reserve(self, model: str, prices: Prices, estimate_usd: float) -> Reservation:
        """Set aside what a request may cost at most.

        Raises:
            BudgetError: it could go beyond the budget.
            ConfigError: there is a budget, and the model's price is not known.
        """
        if self._limit is not None and not prices.known:
            hint = "Set NEXUS_PRICE_INPUT_PER_MTOK and NEXUS_PRICE_OUTPUT_PER_MTOK, or unset NEXUS_BUDGET_USD."
            raise ConfigError(f"The price of {model} is not known, so the budget cannot be kept.", hint=hint)
        if not estimate_usd:
            return Reservation(None, 0.0)
        return Reservation(self._spending.reserve(model, estimate_usd, self._now(), self._limit), estimate_usd)

    def settle(self, reservation: Reservation, cost_usd: float) -> None:
        """Put what a request did cost in the place of what was set aside for it."""
        if reservation.id is not None:
            self._spending.settle(reservation.id, cost_usd, self._now())
