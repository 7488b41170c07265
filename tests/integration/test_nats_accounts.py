"""An account of NATS that changes or expires while we serve; its files are read again."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions, NatsTuning
from ari_proxy.connections import factories
from ari_proxy.settings.load import load
from tests.support.nats_accounts import Operator, user_key
from tests.support.running import until
from tests.support.servers import NatsServer


class Guarded:
    """A nats-server whose configuration a test changes while it runs."""

    def __init__(self, directory: Path) -> None:
        self._config = directory / "nats.conf"
        self._config.touch()
        self.server = NatsServer("-c", str(self._config))

    def configure(self, text: str) -> None:
        self._config.write_text(text)
        self.server.reload()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path)
    yield guarded
    guarded.server.stop()


@asynccontextmanager
async def heard(bus: Bus) -> AsyncIterator[Callable[[], None]]:
    """Yield what publishes one message more; check at the end that all came once, in order."""
    got: list[bytes] = []
    sent: list[bytes] = []
    subscription = await bus.subscribe("events_server", lambda message: got.append(message.payload))

    def publish() -> None:
        sent.append(b"%d" % len(sent))
        bus.publish("events_server", sent[-1])

    yield publish
    publish()
    await until(lambda: got == sent)
    await subscription.unsubscribe()


def write_login(kind: str, file: Path, server: NatsServer, secret: str) -> str:
    """Write the file of an account; return the server's configuration for it."""
    if kind == "nkey":
        return f"authorization {{ users: [ {{ nkey: {user_key(file)} }} ] }}"
    if kind == "token":
        file.write_text(secret)
        return f'authorization {{ token: "{secret}" }}'
    if kind == "url":
        file.write_text(server.url.replace("//", f"//ari:{secret}@"))
    else:
        file.write_text(secret)
    return f'authorization {{ user: "ari", password: "{secret}" }}'


FIELDS = {
    "password": "password_file",
    "token": "token_file",
    "nkey": "nkey_seed_file",
    "url": "url_file",
}


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("first", ["file", "server"])
async def test_account_that_changes_while_we_serve_is_used_whichever_side_changes_first(
    guarded: Guarded, tmp_path: Path, kind: str, first: str
) -> None:
    file, other = tmp_path / "account", tmp_path / "other"
    server = guarded.server
    guarded.configure(write_login(kind, file, server, "old-hush"))
    server.start()
    user = {"user": "ari"} if kind == "password" else {}
    settings = load(bus={"urls": [server.url], FIELDS[kind]: str(file), **user})
    async with opened(factories.bus(settings, "test")) as bus:
        await bus.wait_connected()
        async with heard(bus) as publish:
            publish()
            await bus.flush(timeout_seconds=5)
            changed = write_login(kind, other, server, "new-hush")
            if first == "file":
                other.replace(file)
                publish()
                await bus.flush(timeout_seconds=5)
                assert bus.reconnects == 0
                guarded.configure(changed)
            else:
                guarded.configure(changed)
                await until(lambda: bus.problem and bus.problem.kind == "refused")
                assert "hush" not in str(bus.problem)
                publish()
                other.replace(file)
            await until(lambda: bus.reconnects == 1)
        assert bus.problem is None


async def test_credentials_that_are_renewed_in_time_cost_no_connection(
    guarded: Guarded, tmp_path: Path
) -> None:
    operator, file = Operator(), tmp_path / "credentials"
    expires_at = time.time() + 4  # Long enough to connect and to move.
    operator.write_credentials(file, expires_at=expires_at)
    guarded.configure(operator.configuration)
    guarded.server.start()
    options = NatsOptions(urls=(guarded.server.url,), name="test", credentials_file=str(file))
    with capture_logs() as logs:
        async with opened(NatsBus(options, tuning=NatsTuning(renewal_seconds=0.05))) as bus:
            await bus.wait_connected()
            async with heard(bus) as publish:
                operator.write_credentials(file, expires_at=expires_at + 3600)

                def has_moved() -> bool:
                    publish()
                    return "bus.moved" in [line["event"] for line in logs]

                await until(has_moved)
                await until(lambda: time.time() > expires_at + 0.3)
            assert bus.reconnects == 0
    assert "bus.disconnected" not in [line["event"] for line in logs]


async def test_credentials_that_have_expired_are_told_until_there_are_new_ones(
    guarded: Guarded, tmp_path: Path
) -> None:
    operator, file = Operator(), tmp_path / "credentials"
    guarded.configure(operator.configuration)
    guarded.server.start()
    operator.write_credentials(file, expires_at=time.time() + 5)  # Long enough to connect.
    settings = load(bus={"urls": [guarded.server.url], "credentials_file": str(file)})
    expired = f"bus.credentials_file {file}: its JWT expired at "
    with capture_logs() as logs:
        async with opened(factories.bus(settings, "test")) as bus:
            await bus.wait_connected()
            async with heard(bus) as publish:
                publish()
                await until(lambda: not bus.is_connected)
                # Whether the server has cut the connection, or refuses the next ones.
                for _ in range(3):
                    refused = bus.faults["login_refused"]
                    await until(lambda: bus.faults["login_refused"] > refused)  # noqa: B023  at once
                    assert bus.problem is not None
                    assert bus.problem.kind == "refused"
                    assert expired in bus.problem.reason
                publish()
                operator.write_credentials(file, expires_at=time.time() + 3600)
                await bus.wait_connected()
            assert (bus.problem, bus.dropped) == (None, 0)
    told = [line["error"] for line in logs if line["event"] in {"bus.refused", "bus.disconnected"}]
    assert [line for line in told if expired not in line] == []
    assert told
