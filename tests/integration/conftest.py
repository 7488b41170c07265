"""On NATS each process of this tier has the rights that docs/reference/wire.md lists, no more."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.api_server import ApiServer
from tests.support.calls import RestServer
from tests.support.documented_rights import GuardedNats
from tests.support.media import MediaAsterisk
from tests.support.memory_proxy import CallScene, simulator
from tests.support.memory_proxy import call_scene as running_call_scene
from tests.support.operator_process import Cluster, cluster_with_secret, served
from tests.support.servers import NatsServer


@contextmanager
def guarded(directory: Path) -> Iterator[GuardedNats]:
    nats = GuardedNats(directory)
    nats.server.start()
    yield nats
    nats.server.stop()
    assert_nothing_refused(nats)


def assert_nothing_refused(nats: GuardedNats) -> None:
    assert nats.violations() == [], (
        "somebody used a right that docs/reference/wire.md does not list"
    )


@pytest.fixture(scope="session")
def guarded_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedNats]:
    with guarded(tmp_path_factory.mktemp("nats")) as nats:
        yield nats


@pytest.fixture
def nats_server(guarded_nats: GuardedNats) -> Iterator[NatsServer]:
    """A nats-server with accounts that the test leaves running."""
    yield guarded_nats.server
    assert_nothing_refused(guarded_nats)


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server with accounts that the test may stop and start."""
    with guarded(tmp_path) as nats:
        yield nats.server


@pytest.fixture(params=["simulator", "asterisk22"])
async def call_scene(request: pytest.FixtureRequest) -> AsyncIterator[CallScene]:
    """Calls to an application, with the proxy on the bus in memory."""
    if request.param == "asterisk22":
        async with running_call_scene(request.getfixturevalue("asterisk_22")) as scene:
            yield scene
    else:
        async with simulator() as simulated, running_call_scene(simulated) as scene:
            yield scene


@pytest.fixture(scope="session")
def media_asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaAsterisk]:
    """Asterisk 22 with websockets for media, for tests that leave it running."""
    server = MediaAsterisk(tmp_path_factory.mktemp("media"))
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["simulator", "asterisk22"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RestServer]:
    """A simulator, or Asterisk 22."""
    if request.param == "asterisk22":
        yield request.getfixturevalue("asterisk_22")
    else:
        async with simulator() as simulated:
            yield simulated


@pytest.fixture
def api() -> ApiServer:
    """An API server in memory, for an operator."""
    return cluster_with_secret()


@pytest.fixture
async def cluster(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    """Its cluster, which runs the pods."""
    async with served(api, tmp_path, monkeypatch) as found:
        yield found
