"""The curve of a fine-tune as a chart needs it: read once, and thinned out so that it stays small however long it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from app.components.text import number, string
from engine.domain import Json

Row = Mapping[str, Json]
ReportsAfter = Callable[[int], Iterable[tuple[int, Row]]]
"""Gives the reports of a job after the one with a number, each with its own."""

MOST_POINTS = 500
"""Points of a chart: about as many as there are pixels in its width."""
FIGURES = ("loss", "eval_loss", "learning_rate", "grad_norm")
"""What is drawn of a step."""


@dataclass(slots=True)
class Point:
    """Some steps in a row: the last of them, and of each figure the sum and how often it was known."""

    step: int
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, step: int, row: Row) -> None:
        """Take in another step."""
        self.step = step
        for name in FIGURES:
            if (value := number(row, name)) is not None:
                self._count(name, value, 1)

    def merge(self, later: Point) -> None:
        """Take in the steps that follow."""
        self.step = later.step
        for name, value in later.sums.items():
            self._count(name, value, later.counts[name])

    def _count(self, name: str, value: float, times: int) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + times

    def row(self) -> dict[str, Json]:
        """The means, with the step; None where a figure is not known of any step."""
        means: dict[str, Json] = {name: self.sums[name] / self.counts[name] for name in self.sums}
        return {"step": self.step, **dict.fromkeys(FIGURES), **means}


@dataclass(slots=True)
class Curve:
    """Steps as at most `MOST_POINTS` points. A point is the mean of `width` steps, which doubles when there are too many."""

    width: int = 1
    points: list[Point] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Take in a step. One that is taken again, after a training was resumed, replaces what was there from it on."""
        known = number(row, "step")
        if known is None:
            return
        step = int(known)
        while self.points and self.points[-1].step >= step:
            self.points.pop()
        if self.points and self._place(self.points[-1].step) == self._place(step):
            self.points[-1].add(step, row)
            return
        self.points.append(Point(step))
        self.points[-1].add(step, row)
        if len(self.points) > MOST_POINTS:
            self._halve()

    def rows(self) -> list[dict[str, Json]]:
        """The points as rows."""
        return [point.row() for point in self.points]

    def _place(self, step: int) -> int:
        return (step - 1) // self.width

    def _halve(self) -> None:
        self.width *= 2
        merged: list[Point] = []
        for point in self.points:
            if merged and self._place(merged[-1].step) == self._place(point.step):
                merged[-1].merge(point)
            else:
                merged.append(point)
        self.points = merged


@dataclass(slots=True)
class Story:
    """What a fine-tune has told so far: figures of its last step, its curve, its last sample answers, and its notices."""

    read: int = 0
    """Number of the last report that was read."""
    last: Row | None = None
    held_out: float | None = None
    """The held-out loss when it was measured last."""
    look: Row | None = None
    """The last step with sample answers."""
    notices: list[str] = field(default_factory=list)
    curve: Curve = field(default_factory=Curve)

    def follow(self, reports: ReportsAfter) -> None:
        """Take in what is new."""
        for at, report in reports(self.read):
            self.read = at
            self._take(report)

    def _take(self, report: Row) -> None:
        notice = string(report, "notice")
        if notice and notice not in self.notices:
            self.notices.append(notice)
        if number(report, "step") is None:
            return
        self.last = report
        self.curve.add(report)
        if (held_out := number(report, "eval_loss")) is not None:
            self.held_out = held_out
        if report.get("samples"):
            self.look = report


def thinned(rows: Iterable[Row]) -> list[dict[str, Json]]:
    """The rows of a curve as at most `MOST_POINTS` points."""
    curve = Curve()
    for row in rows:
        curve.add(row)
    return curve.rows()
