"""Fine-tuned adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import AdapterRow
from engine.domain import Adapter
from engine.errors import ConflictError, NotFoundError


class AdapterRepository:
    """The adapters of this home. Paths are stored relative to the folder of the database, so that a home can be moved."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._home = database.path.parent

    def add(self, adapter: Adapter) -> None:
        """Store an adapter.

        Raises:
            ConflictError: the name is taken.
        """
        with self._db.write() as session:
            if session.exec(select(AdapterRow).where(AdapterRow.name == adapter.name)).first() is not None:
                raise ConflictError(f"there is an adapter {adapter.name!r} already", hint="Choose another name.")
            session.add(
                AdapterRow(
                    id=adapter.id,
                    name=adapter.name,
                    base_model=adapter.base_model,
                    path=str(adapter.path.relative_to(self._home)),
                    job_id=adapter.job_id,
                    collection_id=adapter.collection_id,
                    card=dict(adapter.card),
                    status=adapter.status,
                    created_at=adapter.created_at,
                )
            )

    def by_name(self, name: str) -> Adapter:
        """The adapter of this name.

        Raises:
            NotFoundError: there is none; the hint lists those that are there.
        """
        with self._db.read() as session:
            row = session.exec(select(AdapterRow).where(AdapterRow.name == name)).first()
            if row is None:
                names = session.exec(select(AdapterRow.name).order_by(AdapterRow.name)).all()
                hint = f"Known adapters: {', '.join(names)}." if names else "Train one with `nexus finetune`."
                raise NotFoundError(f"no adapter {name!r}", hint=hint)
            return self._to_adapter(row)

    def exists(self, name: str) -> bool:
        """Whether the name is taken."""
        with self._db.read() as session:
            return session.exec(select(AdapterRow).where(AdapterRow.name == name)).first() is not None

    def list(self, base_model: str | None = None) -> Sequence[Adapter]:
        """All adapters, or those of a base model, newest first."""
        query = select(AdapterRow).order_by(col(AdapterRow.created_at).desc())
        if base_model is not None:
            query = query.where(AdapterRow.base_model == base_model)
        with self._db.read() as session:
            return [self._to_adapter(row) for row in session.exec(query)]

    def delete(self, name: str) -> None:
        """Forget an adapter; its files are the caller's business."""
        with self._db.write() as session:
            row = session.exec(select(AdapterRow).where(AdapterRow.name == name)).first()
            if row is not None:
                session.delete(row)

    def _to_adapter(self, row: AdapterRow) -> Adapter:
        return Adapter(**{**row.model_dump(), "path": self._home / Path(row.path)})
