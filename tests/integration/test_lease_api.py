"""The Lease at an API server that follows a script: connections, credentials, refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ari_proxy.ingest.lease.kubernetes_api import (
    KubernetesApi,
    KubernetesLeaseStore,
    LeaseConflictError,
    LeaseError,
    LeaseMissingError,
)

LEASE = {"metadata": {"name": "lease", "resourceVersion": "1"}}


class Api:
    """An API server that answers each request with the same."""

    def __init__(self, token_file: Path) -> None:
        self.token_file = token_file
        self.url = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: Any = LEASE
        self.requests: list[tuple[str, str, str]] = []
        self.connections: set[object] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        token = request.headers["Authorization"]
        self.requests.append((request.method, request.path, token))
        if isinstance(self.body, bytes):
            return web.Response(body=self.body, status=self.status, headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers)

    def store(self) -> KubernetesLeaseStore:
        api = KubernetesApi(url=self.url, token_file=str(self.token_file), namespace="voice")
        return KubernetesLeaseStore(api, "lease")


@asynccontextmanager
async def opened(api: Api) -> AsyncIterator[KubernetesLeaseStore]:
    store = api.store()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    token_file = tmp_path / "token"
    token_file.write_text("one\n")
    found = Api(token_file)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.answer)
    async with TestServer(application) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


async def test_requests_share_a_connection_and_have_the_newest_token(api: Api) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/voice/leases"
    async with opened(api) as store:
        assert await store.read() == LEASE
        api.token_file.write_text("two\n")
        assert await store.replace(LEASE) == LEASE
        api.status = 201
        assert await store.create(LEASE) == LEASE

    assert api.requests == [
        ("GET", f"{leases}/lease", "Bearer one"),
        ("PUT", f"{leases}/lease", "Bearer two"),
        ("POST", leases, "Bearer two"),
    ]
    assert len(api.connections) == 1


@pytest.mark.parametrize("status", [204, 400, 401, 403, 410, 422, 429, 500, 503, 504])
async def test_refusal_is_told_with_its_status(api: Api, status: int) -> None:
    api.status = status
    async with opened(api) as store:
        with pytest.raises(LeaseError, match=f"answers {status} to GET of Lease lease"):
            await store.read()
        with pytest.raises(LeaseError, match=f"answers {status} to PUT of Lease lease"):
            await store.replace(LEASE)

    assert len(api.connections) == 1


async def test_missing_lease_and_one_that_has_changed_are_told_apart(api: Api) -> None:
    async with opened(api) as store:
        api.status = 404
        with pytest.raises(LeaseMissingError):
            await store.read()
        api.status = 409
        with pytest.raises(LeaseConflictError):
            await store.replace(LEASE)
        with pytest.raises(LeaseError, match="answers 409 to POST"):
            await store.create(LEASE)


@pytest.mark.parametrize("body", [b"", b"<html>", [1], b"x" * (3 * 1024 * 1024)])
async def test_answer_that_is_no_object_or_too_large_is_an_error(api: Api, body: Any) -> None:
    api.body = body
    async with opened(api) as store:
        with pytest.raises(LeaseError, match="is no object"):
            await store.read()


async def test_token_is_not_sent_to_where_an_answer_leads(api: Api) -> None:
    api.status, api.headers = 307, {"Location": "/elsewhere"}
    async with opened(api) as store:
        with pytest.raises(LeaseError, match="answers 307"):
            await store.read()

    assert len(api.requests) == 1


async def test_api_server_that_is_away_is_tried_anew(api: Api) -> None:
    url, api.url = api.url, "http://127.0.0.1:1"
    async with opened(api) as store:
        with pytest.raises(LeaseError, match="can't be reached"):
            await store.read()
    api.url = url
    async with opened(api) as store:
        assert await store.read() == LEASE


async def test_token_file_that_is_missing_is_told(api: Api) -> None:
    api.token_file.unlink()
    async with opened(api) as store:
        with pytest.raises(LeaseError, match="No such file"):
            await store.read()


async def test_cancelled_request_leaves_a_usable_store(api: Api) -> None:
    async with opened(api) as store:
        reading = asyncio.ensure_future(store.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert await store.read() == LEASE
