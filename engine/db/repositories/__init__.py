"""One repository for each noun. They take and return domain dataclasses; each call is one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from engine.db.repositories.adapters import AdapterRepository
from engine.db.repositories.agents import AgentRepository, LeadRepository
from engine.db.repositories.collections import CollectionRepository
from engine.db.repositories.conversations import ConversationRepository
from engine.db.repositories.documents import DocumentRepository
from engine.db.repositories.evaluations import EvaluationRepository
from engine.db.repositories.extraction import ExtractionRepository
from engine.db.repositories.faqs import FaqRepository
from engine.db.repositories.search import SearchRepository
from engine.db.repositories.spending import SpendingRepository
from engine.db.session import Database

__all__ = [
    "AdapterRepository",
    "AgentRepository",
    "CollectionRepository",
    "ConversationRepository",
    "DocumentRepository",
    "EvaluationRepository",
    "ExtractionRepository",
    "FaqRepository",
    "LeadRepository",
    "Repositories",
    "SearchRepository",
    "SpendingRepository",
]


@dataclass(frozen=True, slots=True)
class Repositories:
    """All repositories over one database."""

    documents: DocumentRepository
    collections: CollectionRepository
    faqs: FaqRepository
    extraction: ExtractionRepository
    conversations: ConversationRepository
    agents: AgentRepository
    leads: LeadRepository
    adapters: AdapterRepository
    evaluations: EvaluationRepository
    search: SearchRepository
    spending: SpendingRepository

    @classmethod
    def over(cls, database: Database) -> Repositories:
        """The repositories of a database."""
        return cls(
            documents=DocumentRepository(database),
            collections=CollectionRepository(database),
            faqs=FaqRepository(database),
            extraction=ExtractionRepository(database),
            conversations=ConversationRepository(database),
            agents=AgentRepository(database),
            leads=LeadRepository(database),
            adapters=AdapterRepository(database),
            evaluations=EvaluationRepository(database),
            search=SearchRepository(database),
            spending=SpendingRepository(database),
        )
