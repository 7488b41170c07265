"""The listener for Asterisk's websockets, with right and with hostile peers on real sockets."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ari_proxy.aio import run_until_first
from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.listener import MAX_OPENING, Listener
from ari_proxy.ari.listener_path import ListenerPath
from ari_proxy.ari.listener_peer import MAX_REQUEST_BYTES
from ari_proxy.ari.message_connection import MessageConnection
from ari_proxy.ari.websocket import MAX_FRAME_BYTES
from ari_proxy.connections import factories
from ari_proxy.connections.listeners import SharedListeners
from ari_proxy.settings.load import Settings, load
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.running import until
from tests.support.servers import PASSWORD

RIGHT = Credentials("ari", PASSWORD)
WRONG = Credentials("ari", "guessed")


class Listening:
    """A listener with one path, and what it has refused."""

    def __init__(self, **settings: Any) -> None:
        self.port = free_port()
        self.refused: Counter[str] = Counter()
        ari = {
            "connection": "outbound",
            "listen": f"127.0.0.1:{self.port}",
            "password": PASSWORD,
            **settings,
        }
        self.listener = factories.listener(
            load(ari=ari), lambda reason: self.refused.update([reason])
        )
        self.path: ListenerPath = self.listener.register("/server-1/events", ("demo",))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.listener.run())
            await until(self.is_bound)
            yield
            task.cancel()

    async def is_bound(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def dial(
        self,
        path: str = "/server-1/events",
        credentials: Credentials | None = RIGHT,
        *,
        secure: ssl.SSLContext | None = None,
    ) -> ClientConnection:
        """Connect as Asterisk does."""
        headers = {"Authorization": credentials.authorization} if credentials else {}
        scheme = "wss" if secure else "ws"
        return await connect(
            f"{scheme}://127.0.0.1:{self.port}{path}",
            additional_headers=headers,
            subprotocols=[websockets.Subprotocol("ari")],
            compression=None,
            proxy=None,
            ssl=secure,
        )

    async def status(self, *dialled: Any) -> int:
        """Return the status that refuses a websocket."""
        with pytest.raises(InvalidStatus) as caught:
            await self.dial(*dialled)
        return caught.value.response.status_code


async def first_message(connection: MessageConnection) -> bytes:
    got: list[bytes] = []
    await run_until_first(connection.read(got.append), until(lambda: got))
    return got[0]


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    found = Listening()
    async with found.running():
        yield found


async def test_one_websocket_at_a_time_is_accepted_while_somebody_waits(
    listening: Listening,
) -> None:
    assert await listening.status() == 503
    async with aclosing(listening.path.connections()) as connections:
        waiting = asyncio.ensure_future(anext(connections))
        await asyncio.sleep(0)
        ours = await listening.dial("/server-1/events?instance=one")
        assert ours.subprotocol == "ari"
        theirs = await waiting
        await ours.send("event")
        assert await first_message(theirs) == b"event"
        assert await listening.status() == 503

        waiting = asyncio.ensure_future(anext(connections))
        await ours.wait_closed()  # It is closed before the next one is accepted.
        again = await listening.dial()
        await waiting
    await again.wait_closed()
    assert again.close_code == 1000
    assert await listening.status() == 503
    assert listening.refused == {"unwanted": 3}


async def test_servers_at_one_address_have_credentials_of_their_own(listening: Listening) -> None:
    other = Credentials("other", "of-the-second")
    listening.listener.register("/server-2/events", ("demo",), other)

    assert await listening.status("/server-2/events", other) == 503
    assert await listening.status("/server-2/events", RIGHT) == 401
    assert await listening.status("/server-1/events", other) == 401
    assert await listening.status("/server-3/events", other) == 404
    assert await listening.status("/server-3/events", WRONG) == 401


async def test_servers_of_a_process_share_the_listener_of_their_address() -> None:
    def outbound(listen: str) -> Settings:
        return load(ari={"connection": "outbound", "listen": listen, "password": PASSWORD})

    one, other = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with asyncio.TaskGroup() as tasks:
        listeners = SharedListeners(tasks)
        shared = listeners.of(outbound(one))

        assert shared is not None
        assert listeners.of(outbound(one)) is shared
        assert listeners.of(outbound(other)) is not shared
        assert listeners.of(load()) is None
        for _ in range(2):  # Both of its servers have it listen.
            listeners.listen(outbound(one))
        found = Listening(listen=one)
        found.port = int(one.rpartition(":")[2])
        await until(found.is_bound)
        listeners.close()


async def test_a_shared_listener_logs_for_no_server_and_messages_for_who_reads() -> None:
    """What the log tells of a server must not be of the one that had its listener run."""
    seen: list[str] = []

    def see(_: object) -> None:
        seen.append(get_contextvars().get("server_id", ""))

    found = Listening()
    listen = f"127.0.0.1:{found.port}"
    settings = load(ari={"connection": "outbound", "listen": listen, "password": PASSWORD})
    async with asyncio.TaskGroup() as tasks:
        listeners = SharedListeners(tasks, see)
        shared = listeners.of(settings)
        assert shared is not None
        path = shared.register("/server-2/events", ("demo",))
        with bound_contextvars(server_id="server-1"):
            listeners.listen(settings)
        await until(found.is_bound)
        assert await found.status("/server-2/events", WRONG) == 401
        assert seen.pop() == ""
        async with aclosing(path.connections()) as connections:
            waiting = asyncio.ensure_future(anext(connections))
            await asyncio.sleep(0)
            ours = await found.dial("/server-2/events")
            theirs = await waiting
            with bound_contextvars(server_id="server-2"):
                reading = asyncio.ensure_future(theirs.read(see))
            await asyncio.sleep(0)
            seen.clear()
            await ours.send("event")
            await until(lambda: seen)
            assert seen == ["server-2"]
            reading.cancel()
        listeners.close()


async def test_a_server_that_we_connect_to_has_nobody_listen() -> None:
    outbound = load(
        ari={"connection": "outbound", "listen": f"127.0.0.1:{free_port()}", "password": PASSWORD}
    )
    inbound = load(ari={"listen": outbound.ari.listen})
    async with asyncio.TaskGroup() as tasks:
        listeners = SharedListeners(tasks)
        listeners.of(outbound)
        before = asyncio.all_tasks()
        listeners.listen(inbound)
        assert asyncio.all_tasks() == before
        listeners.close()


async def test_a_path_serves_as_many_as_wait_there(listening: Listening) -> None:
    async with AsyncExitStack() as stack:
        theirs = []
        for _ in range(3):
            connections = await stack.enter_async_context(aclosing(listening.path.connections()))
            theirs.append(asyncio.ensure_future(anext(connections)))
        await asyncio.sleep(0)
        for number in range(3):
            await (await listening.dial()).send(str(number))
        assert [await first_message(await one) for one in theirs] == [b"0", b"1", b"2"]
        assert await listening.status() == 503


async def test_end_ends_who_waits_and_lets_others_wait_later(listening: Listening) -> None:
    async with aclosing(listening.path.connections()) as connections:
        waiting = asyncio.ensure_future(anext(connections, None))
        await asyncio.sleep(0)
        listening.path.end()
        assert await waiting is None
    async with aclosing(listening.path.connections()) as connections:
        waiting = asyncio.ensure_future(anext(connections))
        await asyncio.sleep(0)
        await listening.dial()
        theirs = await waiting
        listening.path.end()
        assert theirs is not None
        assert await anext(connections, None) is None


async def test_a_wrong_peer_is_refused_and_named_without_its_secret(listening: Listening) -> None:
    async with aclosing(listening.path.connections()) as connections:
        waiting = asyncio.ensure_future(anext(connections))
        await asyncio.sleep(0)
        with capture_logs() as logs:
            assert await listening.status("/server-2/events") == 404
            assert await listening.status("/server-1/events", WRONG) == 401
        assert await listening.status("/server-1/events", None) == 401
        assert await listening.status("/nowhere", WRONG) == 401
        shown = [(line["reason"], line["path"], line["user"], line["host"]) for line in logs]
        assert shown == [
            ("path", "/server-2/events", "ari", "127.0.0.1"),
            ("credentials", "/server-1/events", "ari", "127.0.0.1"),
        ]
        assert "guessed" not in str(logs)
        assert WRONG.authorization.split()[1] not in str(logs)
        await listening.dial()
        await waiting
    assert listening.refused == {"path": 1, "credentials": 3}


async def test_a_password_that_changes_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_proxy.connections.credentials.REREAD_SECONDS", 0)
    file = tmp_path / "password"
    file.write_text("former")
    found = Listening(password="", password_file=str(file))
    async with found.running():
        assert await found.status() == 401
        file.write_text(PASSWORD)
        assert await found.status() == 503
        assert await found.status("/server-1/events", Credentials("ari", "former")) == 401


def presenting(trusted: Certificates, own: Certificates | None = None) -> ssl.SSLContext:
    """Return the TLS side of a peer, with a certificate or without."""
    context = ssl.create_default_context(cafile=str(trusted.authority))
    if own is not None:
        context.load_cert_chain(own.client, own.client_key)
    return context


async def test_tls_needs_a_client_certificate_and_faults_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ari_proxy.ari.listener.LOG_SECONDS", 0)
    certificates = Certificates(tmp_path)
    (tmp_path / "others").mkdir()
    known = presenting(certificates, certificates)
    refused = {
        "it has no certificate": presenting(certificates),
        "its certificate was refused": presenting(certificates, Certificates(tmp_path / "others")),
        "it does not use TLS": None,
    }
    found = Listening(
        listen_certificate_file=str(certificates.server),
        listen_key_file=str(certificates.server_key),
        listen_client_ca_file=str(certificates.authority),
    )
    async with found.running(), aclosing(found.path.connections()) as connections:
        waiting = asyncio.ensure_future(anext(connections))
        await until(lambda: found.refused["handshake"])  # Whoever saw that it is bound.
        with capture_logs() as logs:
            for secure in refused.values():
                with pytest.raises(
                    (OSError, ConnectionClosed, EOFError, websockets.InvalidMessage)
                ):
                    await found.dial(secure=secure)
            # So does an Asterisk that refuses our certificate.
            _, writer = await asyncio.open_connection("127.0.0.1", found.port, ssl=known)
            writer.close()
            await until(lambda: len(logs) > len(refused))
        ours = await found.dial(secure=known)
        await ours.send("event")
        assert await first_message(await waiting) == b"event"
    for line, beginning in zip(logs, [*refused, "it has left"], strict=True):
        assert (line["reason"], line["host"]) == ("handshake", "127.0.0.1")
        assert line["error"].startswith(beginning)


@asynccontextmanager
async def peer(
    port: int, *sent: bytes, host: str = "127.0.0.1"
) -> AsyncIterator[asyncio.StreamReader]:
    """Connect from a host without a library, and send something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    try:
        for part in sent:
            writer.write(part)
        yield reader
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the end, which may be a broken connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while more := await reader.read(4096):
            found += more
    return found


async def test_hostile_peers_cost_little_and_keep_nobody_out(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    port = listening.port
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(aclosing(listening.path.connections()))
        waiting = asyncio.ensure_future(anext(connections))
        # More than may be without an answer, each with half a request: the oldest have to go.
        half = b"GET /server-1/events HTTP/1.1\r\nHost: x\r\n"
        other, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(half)
        silent = [
            await stack.enter_async_context(peer(port, half, host="127.0.0.2"))
            for _ in range(MAX_OPENING + 100)
        ]
        assert [await answer(reader) for reader in silent[:100]] == [b""] * 100
        assert len(listening.listener._opening) <= MAX_OPENING
        # They are of another host than this one, which is still answered.
        writer.write(b"\r\n")
        assert (await answer(other)).startswith(b"HTTP/1.1 401 ")
        writer.close()
        assert listening.refused["credentials"] == 1

        endless = b"X-Long: xxxxxxxxx\r\n" * (MAX_REQUEST_BYTES // 19 + 1)
        async with peer(port, b"GET / HTTP/1.1\r\n", endless) as reader:
            assert await answer(reader) == b""
        async with peer(port, b"\x16\x03\x01 is no HTTP\r\n\r\n") as reader:
            assert await answer(reader) == b""
        async with peer(port, half + b"\r\n" + half) as reader:  # One request behind another.
            assert await answer(reader) == b""
        assert listening.refused["handshake"] >= 103

        # Asterisk gets in; a frame that is too large ends its websocket, and the next one opens.
        ours = await listening.dial()
        theirs = await waiting
        with contextlib.suppress(ConnectionClosed):
            await ours.send("x" * (MAX_FRAME_BYTES + 1))
        await theirs.wait_closed()
        waiting = asyncio.ensure_future(anext(connections))
        await asyncio.sleep(0)
        again = await listening.dial()
        await again.send("event")
        assert await first_message(await waiting) == b"event"
    assert not caplog.records  # No library has a line, or a traceback, for each of them.


async def test_a_slow_handshake_has_an_end() -> None:
    found = Listening()
    found.listener = Listener(("127.0.0.1", found.port), RIGHT, open_seconds=0.2)
    async with found.running(), peer(found.port, b"GET ") as reader:
        assert await answer(reader) == b""


async def test_a_port_that_a_former_process_holds_is_taken_later() -> None:
    found = Listening()
    held = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", found.port)
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(found.listener.run())
            await until(
                lambda: [line for line in logs if line["event"] == "ari_listener.not_bound"]
            )
            held.close()
            await held.wait_closed()
            await until(lambda: [line for line in logs if line["event"] == "ari_listener.bound"])
            assert await found.status() == 503
            task.cancel()
