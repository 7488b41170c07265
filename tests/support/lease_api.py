"""An API server that has one Lease, and refuses it to whom a test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from ari_proxy.ingest.lease.kubernetes_api import LeaseConflictError, LeaseError, LeaseMissingError
from tests.support.lease_store import StoredLease, View


class LeaseApi:
    """Serves the Lease to processes, each with a token of its own."""

    def __init__(self) -> None:
        self.stored = StoredLease()
        #: By token: the status with which each request is refused.
        self.refused: dict[str, int] = {}
        self.url = ""

    def environment(self, directory: Path, token: str) -> dict[str, str]:
        """Return the settings of an ingest that has a token."""
        file = directory / f"token-{token}"
        file.write_text(token)
        return {
            "ARI_PROXY_LEASE__KIND": "kubernetes",
            "ARI_PROXY_LEASE__NAME": "lease",
            "ARI_PROXY_LEASE__NAMESPACE": "voice",
            "ARI_PROXY_LEASE__API_URL": self.url,
            "ARI_PROXY_LEASE__TOKEN_FILE": str(file),
        }

    async def answer(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if token in self.refused:
            return web.Response(status=self.refused[token])
        view = View(self.stored)
        try:
            if request.method == "GET":
                return web.json_response(await view.read())
            if request.method == "PUT":
                return web.json_response(await view.replace(await request.json()))
            return web.Response(status=403)  # As an ingest of the operator's.
        except LeaseMissingError:
            return web.Response(status=404)
        except LeaseConflictError:
            return web.Response(status=409)
        except LeaseError:
            return web.Response(status=500)


@asynccontextmanager
async def serving() -> AsyncIterator[LeaseApi]:
    """Serve a Lease that nobody holds."""
    api = LeaseApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    async with TestServer(application) as server:
        api.url = str(server.make_url("")).rstrip("/")
        yield api
