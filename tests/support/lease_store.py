"""Kubernetes' store of one Lease, with faults that a test sets; each candidate has its own view."""

import asyncio
from collections.abc import Callable
from typing import Any

from ari_proxy.ingest.lease.kubernetes_api import (
    LeaseConflictError,
    LeaseError,
    LeaseMissingError,
    LeaseObject,
)


class StoredLease:
    """The object at the API server; None if there is none."""

    def __init__(self) -> None:
        self.object: dict[str, Any] | None = {"metadata": {"name": "lease", "resourceVersion": "1"}}
        self._version = 1

    @property
    def holder(self) -> str:
        return str((self.object or {}).get("spec", {}).get("holderIdentity", ""))

    def make_anew(self) -> None:
        """Apply it without any content, as the operator does."""
        self.store({"metadata": {"name": "lease"}})

    def store(self, lease: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        metadata = {**lease["metadata"], "resourceVersion": str(self._version)}
        self.object = {**lease, "metadata": metadata}
        return self.object


class View:
    """A candidate's connection to the API server."""

    def __init__(self, stored: StoredLease) -> None:
        self._stored = stored
        #: Called with each request's method; its text, if any, is the API server's refusal.
        self.refusal: Callable[[str], str] = lambda _: ""
        #: Answers nothing while it is set.
        self.is_silent = False
        self.requests: list[str] = []
        self.is_closed = False

    async def read(self) -> LeaseObject:
        await self._begin("GET")
        return LeaseObject(self._found())

    async def create(self, lease: dict[str, Any]) -> LeaseObject:
        await self._begin("POST")
        if self._stored.object is not None:
            raise LeaseError("answers 409 to POST")
        return LeaseObject(self._stored.store(lease))

    async def replace(self, lease: dict[str, Any]) -> LeaseObject:
        await self._begin("PUT")
        version = lease["metadata"]["resourceVersion"]
        if self._found()["metadata"]["resourceVersion"] != version:
            raise LeaseConflictError
        return LeaseObject(self._stored.store(lease))

    async def close(self) -> None:
        self.is_closed = True

    def _found(self) -> dict[str, Any]:
        if self._stored.object is None:
            raise LeaseMissingError
        return self._stored.object

    async def _begin(self, method: str) -> None:
        self.requests.append(method)
        if self.is_silent:
            await asyncio.get_running_loop().create_future()
        if problem := self.refusal(method):
            raise LeaseError(problem)
