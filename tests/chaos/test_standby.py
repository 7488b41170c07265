"""Two ingests of one server, one active by a lease; real Asterisk, buses and Kubernetes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chaos.conftest import Connection, Stage, both_connections
from tests.support import lease_api, process
from tests.support.kubernetes import LeaseNamespace
from tests.support.link import Link
from tests.support.process import Process
from tests.support.running import until
from tests.support.servers import Asterisk, BusServer

Lease = dict[str, str]


@pytest.fixture(scope="session")
def namespace() -> Iterator[LeaseNamespace]:
    namespace = LeaseNamespace()
    namespace.create()
    yield namespace
    namespace.remove()


@pytest.fixture
def file_lease(tmp_path: Path) -> Lease:
    return {"ARI_PROXY_LEASE__KIND": "file", "ARI_PROXY_LEASE__FILE": str(tmp_path / "lock")}


@pytest.fixture
def kubernetes_lease(namespace: LeaseNamespace, request: pytest.FixtureRequest) -> Lease:
    return {
        "ARI_PROXY_LEASE__KIND": "kubernetes",
        "ARI_PROXY_LEASE__NAME": f"test-{abs(hash(request.node.nodeid))}",
        "ARI_PROXY_LEASE__NAMESPACE": namespace.name,
        "ARI_PROXY_LEASE__API_URL": namespace.url,
        "ARI_PROXY_LEASE__TOKEN_FILE": str(namespace.token_file),
        "ARI_PROXY_LEASE__CA_FILE": str(namespace.ca_file),
    }


@pytest.fixture(params=["file", "kubernetes"])
def lease(request: pytest.FixtureRequest) -> Lease:
    found: Lease = request.getfixturevalue(f"{request.param}_lease")
    return found


@asynccontextmanager
async def two(
    stage: Stage, tmp_path: Path, lease: Lease, lease_of_another: Lease | None = None
) -> AsyncIterator[tuple[Process, Process]]:
    """Run an active ingest and one that stands by."""
    environment = stage.environment | lease
    async with process.running(tmp_path / "first", "ingest", **environment) as first:
        await first.logged("dialogs.reconciled")
        another = stage.environment_of_another() | (lease_of_another or lease)
        async with process.running(tmp_path / "second", "ingest", **another) as second:
            await second.logged("lease.awaited")
            yield first, second


@both_connections
async def test_standby_takes_over_from_a_killed_ingest(
    stage: Stage, tmp_path: Path, lease: Lease, connection: Connection
) -> None:
    calls = stage.calls
    async with two(stage, tmp_path, lease) as (first, second):
        channels = await calls.place(20)
        async with calls.marking(channels):
            await calls.until_more(100)
            assert not second.events("ingest.active")
            first.kill()
            await second.logged("dialogs.reconciled")
        await calls.mark_once_more(channels)

    account = calls.account()
    assert account.faults == {}
    # Asterisk may have kept them all.
    assert account.lost_in_gaps > 0 or connection == "outbound"
    assert len(stage.client.starts) == 20


@both_connections
async def test_ingest_that_is_told_to_stop_hands_over_to_the_standby_without_a_gap(
    stage: Stage, tmp_path: Path, lease: Lease
) -> None:
    calls = stage.calls
    async with two(stage, tmp_path, lease) as (first, second):
        channels = await calls.place(20)
        async with calls.marking(channels):
            await calls.until_more(100)
            first.signal()
            assert await first.ended() == 0
            await second.logged("hand_over.taken")
        await calls.mark_once_more(channels)

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert len(stage.client.starts) == 20


@both_connections
@pytest.mark.parametrize("comes_back", [True, False])
async def test_ingest_that_is_told_to_stop_while_the_bus_is_away_publishes_nothing_late(
    stage: Stage, bus_server: BusServer, tmp_path: Path, file_lease: Lease, *, comes_back: bool
) -> None:
    """The standby has a connection already: what it publishes must not be overtaken."""
    calls = stage.calls
    link = Link(urlsplit(bus_server.url).port or 0, kind=bus_server.kind)
    link.start()
    behind_link = stage.environment | file_lease | {"ARI_PROXY_BUS__URLS": f'["{link.url}"]'}
    async with process.running(tmp_path / "first", "ingest", **behind_link) as first:
        await first.logged("dialogs.reconciled")
        directly = stage.environment_of_another() | file_lease
        async with process.running(tmp_path / "second", "ingest", **directly) as second:
            await second.logged("lease.awaited")
            channels = await calls.place(5)
            async with calls.marking(channels, pause_seconds=0.05):
                await calls.until_more(20)
                link.stop()
                await first.logged("bus.refused")
                new = await calls.originate()
                first.signal()
                await asyncio.sleep(2)  # Long enough for a standby to become active.
                if comes_back:
                    link.start()
                assert await first.ended() == 0
            link.remove()
            await until(lambda: calls.dialog_of(new))
            await calls.mark_once_more(channels)

    account = calls.account(channels)
    assert account.faults == {}
    assert (account.lost_in_gaps == 0) == comes_back
    assert len(stage.client.starts) == 6


async def test_ingest_without_a_websocket_takes_nothing_back_from_the_standby(
    stage: Stage,
    tmp_path: Path,
    file_lease: Lease,
    own_asterisk: Asterisk,
    websocket_link: Link,
) -> None:
    calls = stage.calls
    environment = stage.environment | file_lease
    direct = environment | {"ARI_PROXY_ARI__WEBSOCKET_URL": own_asterisk.websocket_url}
    async with process.running(tmp_path / "first", "ingest", **environment) as first:
        await first.logged("dialogs.reconciled")
        async with process.running(tmp_path / "second", "ingest", **direct) as second:
            await second.logged("lease.awaited")
            channels = await calls.place(5)
            websocket_link.stop()
            await first.logged("websocket.refused")
            first.signal()
            await second.logged("websocket.connected")
            websocket_link.start()
            assert await first.ended() == 0
            await calls.mark_once_more(channels)
            assert not second.events("application.replaced")
            assert len(first.events("websocket.connected")) == 1

    assert calls.account().faults == {}
    assert len(stage.client.starts) == 5


@both_connections
async def test_calls_go_on_while_kubernetes_is_away(
    stage: Stage, tmp_path: Path, kubernetes_lease: Lease
) -> None:
    calls = stage.calls
    address = urlsplit(kubernetes_lease["ARI_PROXY_LEASE__API_URL"])
    api = Link(address.port or 443)
    api.start()
    lease = kubernetes_lease | {"ARI_PROXY_LEASE__API_URL": f"https://127.0.0.1:{api.port}"}
    try:
        async with two(stage, tmp_path, lease) as (first, second):
            channels = await calls.place(20)
            async with calls.marking(channels):
                api.stop()
                await until(lambda: len(first.events("lease.not_renewed")) > 5)
                api.start()
                await calls.until_more(100)
            await calls.mark_once_more(channels)
            assert not first.events("lease.lost")
            assert len(second.events("lease.awaited")) == 1
    finally:
        api.remove()

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)


async def tells_why(standby: Process, status: int) -> bool:
    """Return whether a standby is not ready, since the API server answers with this status."""
    readiness, text = await standby.admin("/readyz")
    return readiness == 503 and f"answers {status}" in text


@both_connections
@pytest.mark.parametrize("status", [401, 403, 429])
async def test_calls_go_on_while_kubernetes_refuses_both_ingests(
    stage: Stage, tmp_path: Path, status: int
) -> None:
    calls = stage.calls
    async with lease_api.serving() as api:
        first_lease, second_lease = (api.environment(tmp_path, name) for name in "ab")
        async with two(stage, tmp_path, first_lease, second_lease) as (first, second):
            channels = await calls.place(5)
            async with calls.marking(channels):
                api.refused = {"a": status, "b": status}
                await until(lambda: len(first.events("lease.not_renewed")) > 5)
                await until(lambda: tells_why(second, status))
                assert (await first.admin("/readyz"))[0] == 200
                # The Lease is lost meanwhile, and made anew.
                api.stored.make_anew()
                api.refused.clear()
                await until(lambda: api.stored.holder)
                await calls.until_more(100)
            await calls.mark_once_more(channels)
            assert not first.events("lease.lost")
            assert not second.events("ingest.active")

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)


@both_connections
async def test_ingest_that_kubernetes_alone_refuses_hands_over_without_a_gap(
    stage: Stage, tmp_path: Path
) -> None:
    calls = stage.calls
    async with lease_api.serving() as api:
        first_lease, second_lease = (api.environment(tmp_path, name) for name in "ab")
        async with two(stage, tmp_path, first_lease, second_lease) as (first, second):
            channels = await calls.place(5)
            async with calls.marking(channels):
                await calls.until_more(20)
                api.refused = {"a": 401}
                await second.logged("hand_over.taken")
                await until(lambda: len(first.events("lease.awaited")) == 2)
                await calls.until_more(100)
            await calls.mark_once_more(channels)
            assert not first.events("application.replaced")

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert len(stage.client.starts) == 5


@both_connections
async def test_frozen_ingest_does_no_harm_when_it_comes_back(
    stage: Stage, tmp_path: Path, kubernetes_lease: Lease
) -> None:
    calls = stage.calls
    async with two(stage, tmp_path, kubernetes_lease) as (first, second):
        channels = await calls.place(20)
        async with calls.marking(channels):
            await calls.until_more(100)
            first.freeze()
            # Asterisk's own websocket stays with the frozen one: only newer releases ping it.
            is_inbound = stage.balancer is None
            await second.logged("dialogs.reconciled" if is_inbound else "ingest.active")
            first.thaw()
            await first.logged("lease.lost")
            await second.logged("dialogs.reconciled")
            await until(lambda: len(first.events("lease.awaited")) >= 2)
        await calls.mark_once_more(channels)
        # And it is the standby now.
        second.kill()
        await until(lambda: len(first.events("dialogs.reconciled")) >= 2)
        await calls.mark_once_more(channels)

    assert calls.account().faults == {}
    assert len(stage.client.starts) == 20


@both_connections
async def test_standby_is_ready_and_takes_nothing(
    stage: Stage, tmp_path: Path, file_lease: Lease
) -> None:
    async with two(stage, tmp_path, file_lease) as (_, second):
        await asyncio.sleep(1)

        assert not second.events("websocket.connected")
        assert (await second.admin("/readyz"))[0] == 200
        _, metrics = await second.admin("/metrics")
        assert 'ariproxy_ingest_active{server_id="server-1"} 0.0' in metrics
