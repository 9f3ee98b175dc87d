"""The rows of a training, one a step: in memory, and as JSON Lines in the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

from engine.domain import Json
from engine.training.loop.checkpoint import truncate_metrics, write_metrics


class Curve:
    """All rows so far. A disk that refuses them for a while loses none: they are written as soon as it takes them."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; see `go_back_to`."""
        self._path = path
        self.rows: list[dict[str, Json]] = []
        self.losses: list[float] = []
        self._complete = True

    def go_back_to(self, step: int) -> None:
        """Take the rows up to this step from the file, and drop later ones there.

        Raises:
            OSError: the disk refused.
        """
        self.rows = truncate_metrics(self._path, step)
        self.losses = [float(str(row["loss"])) for row in self.rows]

    def add(self, row: dict[str, Json]) -> None:
        """Add the next step."""
        self.rows.append(row)
        self.losses.append(float(str(row["loss"])))
        if not self._complete:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError:
            self._complete = False  # a part of the line may be there: the file is written anew

    def flush(self) -> None:
        """Write what the file lacks.

        Raises:
            OSError: the disk refused.
        """
        if not self._complete:
            write_metrics(self._path, self.rows)
            self._complete = True

    @property
    def seconds(self) -> float:
        """How long a step takes: the mean of the last twenty; 0 before the first."""
        recent = [float(str(row["seconds"])) for row in self.rows[-20:]]
        return sum(recent) / len(recent) if recent else 0.0
