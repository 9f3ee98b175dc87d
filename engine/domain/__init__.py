"""The nouns of the product, as frozen dataclasses.

Lives here: what the capabilities exchange with each other, with storage and with the pages. No behaviour beyond what
follows from the data itself, and no import of any library. Import from this package, not from its modules.
"""

from engine.domain.agents import AgentConfig, AgentReply, Lead
from engine.domain.documents import Block, BlockKind, BoundingBox, Chunk, Collection, CollectionStatus, Document, LineBox, Page
from engine.domain.faq import ASKED_TWICE, DUPLICATE_REASON, FaqPair, FaqQuery, FaqStatus, Place
from engine.domain.generation import (
    Answer,
    AnswerDelta,
    Citation,
    Completion,
    Conversation,
    Delta,
    FinishReason,
    Message,
    Timings,
    TokenLogprob,
    Usage,
)
from engine.domain.jobs import CONTROLLABLE, Job, JobState, JobWish
from engine.domain.models import Adapter, AdapterStatus, ModelInfo, Preset, Strategy
from engine.domain.values import Json, Role, new_id, utc_now

__all__ = [
    "ASKED_TWICE",
    "CONTROLLABLE",
    "DUPLICATE_REASON",
    "Adapter",
    "AdapterStatus",
    "AgentConfig",
    "AgentReply",
    "Answer",
    "AnswerDelta",
    "Block",
    "BlockKind",
    "BoundingBox",
    "Chunk",
    "Citation",
    "Collection",
    "CollectionStatus",
    "Completion",
    "Conversation",
    "Delta",
    "Document",
    "FaqPair",
    "FaqQuery",
    "FaqStatus",
    "FinishReason",
    "Job",
    "JobState",
    "JobWish",
    "Json",
    "Lead",
    "LineBox",
    "Message",
    "ModelInfo",
    "Page",
    "Place",
    "Preset",
    "Role",
    "Strategy",
    "Timings",
    "TokenLogprob",
    "Usage",
    "new_id",
    "utc_now",
]
