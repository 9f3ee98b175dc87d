"""Smart agents and the leads that they collect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlmodel import col, select

from engine.db.session import Database
from engine.db.tables import AgentRow, LeadRow
from engine.domain import AgentConfig, Lead, new_id, utc_now
from engine.errors import ConflictError, NotFoundError


class AgentRepository:
    """Agent configurations."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, agent: AgentConfig) -> None:
        """Store a new agent.

        Raises:
            ConflictError: the name is taken.
        """
        with self._db.write() as session:
            if session.exec(select(AgentRow).where(AgentRow.name == agent.name)).first() is not None:
                raise ConflictError(
                    f"there is an agent {agent.name!r} already", hint="Choose another name, or delete that agent."
                )
            session.add(_from_agent(agent))

    def by_name(self, name: str) -> AgentConfig:
        """The agent of this name.

        Raises:
            NotFoundError: there is none; the hint lists those that are there.
        """
        with self._db.read() as session:
            row = session.exec(select(AgentRow).where(AgentRow.name == name)).first()
            if row is None:
                names = session.exec(select(AgentRow.name).order_by(AgentRow.name)).all()
                hint = f"Known agents: {', '.join(names)}." if names else "Create one with `nexus agent create`."
                raise NotFoundError(f"no agent {name!r}", hint=hint)
            return _to_agent(row)

    def list(self) -> Sequence[AgentConfig]:
        """All agents, by name."""
        with self._db.read() as session:
            return [_to_agent(row) for row in session.exec(select(AgentRow).order_by(AgentRow.name))]

    def delete(self, agent_id: str) -> None:
        """Remove an agent with its conversations and leads."""
        with self._db.write() as session:
            row = session.get(AgentRow, agent_id)
            if row is not None:
                session.delete(row)


class LeadRepository:
    """Leads: one for each conversation with an agent in which the customer gave a value."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def merge(self, agent_id: str, conversation_id: str, fields: Mapping[str, str]) -> Lead:
        """Add values to the conversation's lead, made if absent; a newer value replaces an older one."""
        with self._db.write() as session:
            row = session.exec(
                select(LeadRow).where(LeadRow.agent_id == agent_id, LeadRow.conversation_id == conversation_id)
            ).first()
            if row is None:
                now = utc_now()
                row = LeadRow(
                    id=new_id(), agent_id=agent_id, conversation_id=conversation_id, fields={}, created_at=now, updated_at=now
                )
                session.add(row)
            row.fields = {**row.fields, **fields}
            row.updated_at = utc_now()
            session.flush()
            return _to_lead(row)

    def for_conversation(self, conversation_id: str) -> Mapping[str, str]:
        """The values that the customer of this conversation has given so far; empty when none."""
        with self._db.read() as session:
            row = session.exec(select(LeadRow).where(LeadRow.conversation_id == conversation_id)).first()
            return {} if row is None else dict(row.fields)

    def list(self, agent_id: str | None = None) -> Sequence[Lead]:
        """All leads, or those of an agent, newest first."""
        query = select(LeadRow).order_by(col(LeadRow.created_at).desc())
        if agent_id is not None:
            query = query.where(LeadRow.agent_id == agent_id)
        with self._db.read() as session:
            return [_to_lead(row) for row in session.exec(query)]


def _from_agent(agent: AgentConfig) -> AgentRow:
    return AgentRow(
        id=agent.id,
        name=agent.name,
        instructions=agent.instructions,
        collection_id=agent.collection_id,
        fields=list(agent.fields),
        provider=agent.provider,
        model=agent.model,
        adapter=agent.adapter,
        created_at=agent.created_at,
    )


def _to_agent(row: AgentRow) -> AgentConfig:
    return AgentConfig(**{**row.model_dump(), "fields": tuple(row.fields)})


def _to_lead(row: LeadRow) -> Lead:
    return Lead(**row.model_dump())
