"""The one place that downloads models: the Hugging Face hub, when the person asks for it and offline mode is off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.errors import NexusError, NotFoundError, OfflineError, ProviderError, StorageError


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository of the hub; the hub knows the SHA-256 of large ones."""

    name: str
    size: int
    sha256: str | None


class Hub(Protocol):
    """A collection of model repositories."""

    def files(self, repo: str) -> list[HubFile]:
        """The files of a repository such as `owner/name`.

        Raises:
            NotFoundError: there is none of that name, or it asks for a login.
            ProviderError: the hub cannot be reached.
        """
        ...

    def download(self, repo: str, file: str, folder: Path) -> Path:
        """Download a file into `folder`; returns where it is. Raises as `files` does."""
        ...


class HuggingFaceHub:
    """The public hub, through huggingface_hub and its own settings (HF_ENDPOINT, HF_TOKEN).

    Args:
        endpoint: another address of the hub than the environment's.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def files(self, repo: str) -> list[HubFile]:
        """The files of a repository."""
        from huggingface_hub import HfApi, RepoFile

        with _translated(repo):
            entries = list(HfApi(self._endpoint).list_repo_tree(repo, recursive=True))
        found = [entry for entry in entries if isinstance(entry, RepoFile)]
        return [HubFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None) for entry in found]

    def download(self, repo: str, file: str, folder: Path) -> Path:
        """Download a file, resuming where a former attempt into the same folder stopped."""
        from huggingface_hub import hf_hub_download

        with _translated(f"{repo}/{file}"):
            return Path(hf_hub_download(repo, file, local_dir=folder, endpoint=self._endpoint))


@contextmanager
def _translated(what: str) -> Iterator[None]:
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as exc:
        raise OfflineError("huggingface_hub is in offline mode.", hint="Unset HF_HUB_OFFLINE and try again.") from exc
    except errors.GatedRepoError as exc:
        hint = "Accept its terms on the hub and set HF_TOKEN."
        raise NotFoundError(f"{what} asks for a login.", hint=hint) from exc
    except errors.LocalEntryNotFoundError as exc:
        raise _unreachable(exc) from exc
    except (errors.RepositoryNotFoundError, errors.EntryNotFoundError, errors.HFValidationError) as exc:
        raise NotFoundError(f"The hub has no {what}.", hint="Check the spelling: OWNER/NAME and the file's name.") from exc
    except (errors.HfHubHTTPError, httpx.HTTPError) as exc:
        raise _unreachable(exc) from exc
    except OSError as exc:
        raise StorageError(f"{what} cannot be downloaded: {exc}", hint="Check the connection and the free disk space.") from exc


def _unreachable(exc: Exception) -> NexusError:
    return ProviderError(f"The hub cannot be reached: {exc}", hint="Check the connection and try again.")
