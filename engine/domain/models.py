"""Model files and adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from engine.domain.values import Json


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model file (or encoder folder) as its own metadata describes it."""

    name: str
    path: Path
    kind: Literal["chat", "encoder"]
    architecture: str
    family: str
    parameters: int
    quantisation: str
    context_length: int
    size: int
    chat_template: bool
    licence: str
    sha256: str | None = None


Preset = Literal["quick", "balanced", "thorough"]
"""Named settings of a fine-tune."""
Strategy = Literal["auto", "peft", "unsloth"]
"""What trains; `auto` chooses by the hardware."""
AdapterStatus = Literal["ready", "mismatch"]
"""What the parity gate found: served as trained, or not."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in GGUF form, its base model, and what is known of how it was made."""

    id: str
    name: str
    base_model: str
    path: Path
    created_at: datetime
    job_id: str | None = None
    collection_id: str | None = None
    card: Mapping[str, Json] = field(default_factory=dict)
    """Settings, loss curve, hashes and parity figures."""
    status: AdapterStatus = "ready"
