"""What is done with adapters besides training them and answering with them."""

from __future__ import annotations

import shutil

from engine import requests
from engine.domain import Adapter
from engine.errors import ConflictError
from engine.wiring import Wiring


class AdapterFiles(Wiring):
    """The operations of an engine on adapters and their files."""

    def delete_adapter(self, name: str) -> None:
        """Remove an adapter and its files.

        Raises:
            NotFoundError: there is no such adapter.
            ConflictError: an agent answers with it.
        """
        adapter = self.repositories.adapters.by_name(name)
        users = [agent.name for agent in self.repositories.agents.list() if agent.adapter == name]
        if users:
            raise ConflictError(f"the agent {users[0]!r} answers with the adapter {name!r}", hint="Delete that agent first.")
        self.repositories.adapters.delete(name)
        folder = adapter.path.parent
        if folder.resolve().parent == self.settings.adapters_dir.resolve():
            shutil.rmtree(folder, ignore_errors=True)

    def _responder(self, request: requests.AskRequest | requests.AgentRequest) -> tuple[str | None, Adapter | None]:
        """The model and the adapter that are to answer. An adapter brings its base along.

        Raises:
            NotFoundError: no such model or adapter.
            ConflictError: the adapter belongs to another base, or differs from what was trained.
            AdapterError: its base has changed.
        """
        if request.adapter is None:
            return request.model, None
        tuned = self.repositories.adapters.by_name(request.adapter)
        self.offering.require(tuned, allow_mismatch=request.allow_mismatch)
        if request.model is not None and self.model(request.model).name != tuned.base_model:
            raise ConflictError(
                f"the adapter {tuned.name!r} belongs to {tuned.base_model}, not to {request.model}",
                hint="Leave the model out: the adapter brings its own.",
            )
        return tuned.base_model, tuned
