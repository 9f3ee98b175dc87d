"""Settings: where things live, what is allowed, how much is too much.

Read once (`load_settings`) and passed in; nothing else in the engine looks at the environment, but for provider API keys,
which are read where they are used and never kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parent.parent

AutoInt = Annotated[int | None, BeforeValidator(lambda value: None if value == "auto" else value)]
"""A number, or None for `auto`: chosen for each model and machine by `engine.llm.llamacpp.fitting`; see `nexus doctor`."""


class Settings(BaseSettings):
    """Every setting, its default and its meaning. Each can be set as an environment variable `NEXUS_<NAME>`.

    A variable that is empty counts as unset.
    """

    model_config = SettingsConfigDict(env_prefix="NEXUS_", extra="ignore", frozen=True, env_ignore_empty=True)

    home: Path = Field(PROJECT_ROOT / "data", description="Folder of this installation's state: database, vectors, adapters.")
    models_dir: Path = Field(PROJECT_ROOT / "models", description="Folder of model files. Read by every home.")
    offline: bool = Field(True, description="Refuse everything that would leave this machine, named remotes included.")

    default_model: str = Field("SmolLM2-135M-Instruct.Q4_1", description="Chat model used when none is named.")
    default_encoder: str = Field("all-MiniLM-L6-v2", description="Sentence encoder for vectors.")
    context_tokens: AutoInt = Field(
        None,
        ge=512,
        description="Tokens of a context of the local runtime; unset: fitted (see `nexus doctor`). Beyond their original "
        "length LongRoPE models, such as Phi with 128k tokens, take other position factors, and adapters must fit them.",
    )
    max_sequences: AutoInt = Field(
        None, ge=1, le=64, description="Generations that the local runtime decodes together; unset: fitted."
    )
    threads: AutoInt = Field(None, ge=1, description="Threads of the local runtime; unset: the physical cores.")
    gpu_layers: AutoInt = Field(None, ge=-1, description="Layers on the GPU, -1 for all; unset: as many as fit.")
    weights: Literal["auto", "as-is", "bf16", "q8_0", "q4_0"] = Field(
        "auto", description="Format of local models' weights; auto: a faster copy of small models where it is worth its room."
    )
    idle_unload_s: float = Field(900.0, gt=0, description="A model that was not used for so long gives its memory back.")

    prefix_cache_mb: int = Field(
        256, ge=0, description="Megabytes on disk for the keys and values of instructions that come again; 0: none."
    )

    max_document_mb: float = Field(100.0, gt=0, description="A larger document is refused.")
    max_pages: int = Field(5000, ge=1, description="A document with more pages is refused.")
    chunk_tokens: int = Field(
        220, ge=32, description="Aim for the size of a chunk, in tokens of the default model; estimated for a provider's."
    )

    cloud_concurrency: int = Field(4, ge=1, le=64, description="Requests to one provider at the same time.")
    budget_usd: float | None = Field(None, ge=0, description="US dollars that providers may cost in a calendar month (UTC).")
    price_input_per_mtok: float | None = Field(
        None, ge=0, description="US dollars per million prompt tokens, of a provider's model that is not on the price list."
    )
    price_output_per_mtok: float | None = Field(
        None, ge=0, description="US dollars per million answer tokens, of a provider's model that is not on the price list."
    )

    answer_timeout_s: float = Field(120.0, gt=0, description="Longest wait for one answer.")
    compare_timeout_s: float = Field(120.0, gt=0, description="Longest wait for each side of a comparison.")
    job_heartbeat_s: float = Field(2.0, gt=0, description="A running job says so this often.")
    job_stale_s: float = Field(20.0, gt=0, description="A running job that was silent for so long lost its process.")

    metrics_port: int | None = Field(None, description="Serve Prometheus metrics on this port of the loopback interface.")
    opik_url: str | None = Field(None, description="An Opik server to send traces to, besides the local record.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "nexus.db"

    @property
    def documents_dir(self) -> Path:
        """The originals of all documents, by content hash."""
        return self.home / "documents"

    @property
    def vectors_dir(self) -> Path:
        """A folder for each collection's vector index."""
        return self.home / "vectors"

    @property
    def adapters_dir(self) -> Path:
        """A folder for each fine-tuned adapter."""
        return self.home / "adapters"

    @property
    def runs_dir(self) -> Path:
        """A working folder for each fine-tuning job: data, checkpoints, log."""
        return self.home / "runs"

    @property
    def cache_dir(self) -> Path:
        """Derived files that can be made again, such as dequantised training copies of a model."""
        return self.home / "cache"

    @property
    def events_dir(self) -> Path:
        """Append-only event files: traces, evaluation results."""
        return self.home / "events"

    @property
    def logs_dir(self) -> Path:
        """Structured logs."""
        return self.home / "logs"


def load_settings(home: Path | None = None) -> Settings:
    """The settings from the environment, with another home folder where one is given.

    Raises:
        ConfigError: a value makes no sense.
    """
    try:
        settings = Settings() if home is None else Settings(home=home)
    except ValidationError as exc:
        first = exc.errors()[0]
        name = "NEXUS_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigError(f"{name}: {first['msg']}", hint="Correct or unset this environment variable.") from exc
    try:
        return settings.model_copy(update={"home": settings.home.expanduser().absolute()})
    except RuntimeError as exc:  # ~somebody who does not exist
        raise ConfigError(f"the home folder {settings.home} cannot be found", hint="Give its whole path.") from exc
