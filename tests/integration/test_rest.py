"""The REST client against a scripted Asterisk and against sockets that misbehave."""

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import uvloop

from ari_proxy.ari.client import Answer
from ari_proxy.ari.credentials import Credentials, CredentialSource
from ari_proxy.ari.errors import AnswerTooLargeError, AriTimeoutError, UnreachableError
from ari_proxy.ari.http_connections import HttpConnections, NotConnectedError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.tls import AriTls
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.running import until
from tests.support.scripted_asterisk import ScriptedAsterisk, scripted_asterisk

HUSH = Credentials("ari", "hush")


def client(
    url: str,
    *,
    concurrency: int = 4,
    timeout_seconds: float = 20,
    credentials: CredentialSource = HUSH,
) -> RestClient:
    return RestClient(url, credentials, concurrency=concurrency, timeout_seconds=timeout_seconds)


class Refused:
    """Credentials that Asterisk takes once it has refused them."""

    def __init__(self, asterisk: ScriptedAsterisk, *, has_others: bool) -> None:
        self._asterisk = asterisk
        self._has_others = has_others

    def current(self) -> Credentials:
        return HUSH

    def refused(self, credentials: Credentials) -> bool:
        assert credentials is HUSH
        self._asterisk.answer("POST", "/channels", 200, "{}")
        return self._has_others


@pytest.fixture
async def asterisk() -> AsyncIterator[ScriptedAsterisk]:
    async with scripted_asterisk() as asterisk:
        yield asterisk


async def test_answer_is_asterisks_own_whatever_its_status(asterisk: ScriptedAsterisk) -> None:
    asterisk.answer("GET", "/endpoints", 200, '[{"name":"ä"}]')
    asterisk.answer("POST", "/channels", 500, '{"message":"Allocation failed"}')
    async with client(asterisk.url) as rest:
        got = await rest.request("GET", "/endpoints")
        failed = await rest.request("POST", "/channels", '{"endpoint":"x"}')

    assert got == Answer(200, '[{"name":"ä"}]')
    assert failed == Answer(500, '{"message":"Allocation failed"}')
    assert asterisk.requests[1].body == '{"endpoint":"x"}'
    assert {request.authorization for request in asterisk.requests} == {"Basic YXJpOmh1c2g="}


@pytest.mark.parametrize("has_others", [True, False])
async def test_refused_request_is_sent_again_only_with_other_credentials(
    asterisk: ScriptedAsterisk, *, has_others: bool
) -> None:
    asterisk.answer("POST", "/channels", 401, "")
    async with client(asterisk.url, credentials=Refused(asterisk, has_others=has_others)) as rest:
        answer = await rest.request("POST", "/channels")

    assert answer.status == (200 if has_others else 401)
    assert len(asterisk.requests) == (2 if has_others else 1)


async def test_url_goes_out_as_the_client_wrote_it(asterisk: ScriptedAsterisk) -> None:
    url = "/channels/a%2Fb%20c/play?media=sound:x,y&skipms=%2B1&media=a+b"
    async with client(asterisk.url) as rest:
        await rest.request("POST", url)

    assert asterisk.requests[0].target == "/ari" + url


async def test_no_more_requests_at_once_than_allowed(asterisk: ScriptedAsterisk) -> None:
    asterisk.hold = asyncio.Event()
    async with client(asterisk.url, concurrency=2) as rest, asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(rest.request("GET", "/endpoints")) for _ in range(5)]
        await until(lambda: len(asterisk.requests) == 2)
        assert rest.in_flight == 2
        asterisk.hold.set()
        await asyncio.wait(answers)

    assert len(asterisk.requests) == 5
    assert rest.in_flight == 0


async def test_cancelled_request_frees_its_place(asterisk: ScriptedAsterisk) -> None:
    asterisk.hold = asyncio.Event()
    async with client(asterisk.url, concurrency=1) as rest:
        running = asyncio.create_task(rest.request("GET", "/endpoints"))
        waiting = asyncio.create_task(rest.request("GET", "/endpoints"))
        await until(lambda: asterisk.requests)
        for task in (waiting, running):
            task.cancel()
        done, _ = await asyncio.wait([running, waiting])
        asterisk.hold.set()
        answer = await rest.request("GET", "/endpoints")

    assert [task.cancelled() for task in done] == [True, True]
    assert answer.status == 204
    assert rest.in_flight == 0


async def test_no_answer_in_time_tells_whether_it_was_sent(asterisk: ScriptedAsterisk) -> None:
    asterisk.hold = asyncio.Event()
    async with client(asterisk.url, concurrency=1, timeout_seconds=0.3) as rest:
        both = await asyncio.gather(
            rest.request("POST", "/channels/c/answer"),
            # Sooner over than the first, which frees the connection then.
            rest.request("POST", "/channels/c/ring", timeout_seconds=0.1),
            return_exceptions=True,
        )
        asterisk.hold.set()

    assert [(type(error), getattr(error, "sent", None)) for error in both] == [
        (AriTimeoutError, True),
        (AriTimeoutError, False),
    ]
    assert len(asterisk.requests) == 1


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            connections -= 1

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ari"
        await until(lambda: not connections)


async def test_refused_connection_was_provably_not_sent() -> None:
    async with client(f"http://127.0.0.1:{free_port()}/ari") as rest:
        with pytest.raises(UnreachableError) as caught:
            await rest.request("POST", "/channels?endpoint=x")

    assert (caught.value.sent, caught.value.status_code) == (False, 502)
    assert "endpoint" not in str(caught.value)


@pytest.mark.parametrize(
    "said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]
)
async def test_broken_connection_may_have_been_sent_and_is_not_repeated(said: bytes) -> None:
    connections = 0

    async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with listening(misbehave) as url, client(url) as rest:
        with pytest.raises(UnreachableError) as caught:
            await rest.request("POST", "/channels/c/answer")

    assert caught.value.sent
    assert connections == 1


async def test_connection_is_used_again() -> None:
    connections: list[asyncio.StreamReader] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(reader)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    async with listening(answer) as url, client(url) as rest:
        for _ in range(3):
            assert await rest.request("POST", "/channels/c/answer") == Answer(204, "")

    assert len(connections) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 408 Request Timeout\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ],
    ids=["close", "older", "more", "until-the-end"],
)
async def test_connection_that_the_server_ends_is_not_used_again(said: bytes) -> None:
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        if b"Length" in said:
            await reader.read()  # Until the client closes it.
        writer.close()

    async with listening(answer) as url, client(url) as rest:
        for _ in range(2):
            assert await rest.request("POST", "/channels/c/answer") == Answer(200, "ok")

    assert connections == 2


async def test_answer_in_pieces_is_read_and_its_connection_used_again() -> None:
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for chunk in (b"1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"):
                    await writer.drain()
                    await asyncio.sleep(0)
                    writer.write(chunk)
        writer.close()

    async with listening(answer) as url, client(url) as rest:
        for _ in range(2):
            assert await rest.request("GET", "/channels") == Answer(200, "ok")

    assert connections == 1


@pytest.mark.parametrize("url", ["/channels\r\nX: y", "/channels/a b", "/channels\n"])
async def test_url_that_would_end_its_line_is_not_sent(
    asterisk: ScriptedAsterisk, url: str
) -> None:
    async with client(asterisk.url) as rest:
        with pytest.raises(ValueError, match="no target"):
            await rest.request("GET", url)

    assert asterisk.requests == []


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1), ("PUT", 1), ("DELETE", 1)])
async def test_only_a_get_is_sent_again_when_the_connection_breaks(method: str, times: int) -> None:
    requests: list[bytes] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            requests.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async with listening(answer_once) as url, client(url) as rest:
        await rest.request("GET", "/asterisk/ping")
        if times == 1:
            with pytest.raises(UnreachableError):
                await rest.request(method, "/channels/c")
        else:
            assert (await rest.request(method, "/channels/c")).status == 204

    assert sum(b"/channels/c" in request for request in requests) == times


def test_password_does_not_show() -> None:
    assert "hush" not in repr(Credentials("ari", "hush"))


@pytest.mark.parametrize("told", [True, False], ids=["content-length", "chunked"])
async def test_answer_beyond_the_limit_is_not_read_on(
    asterisk: ScriptedAsterisk, *, told: bool
) -> None:
    asterisk.large["/recordings/stored/long/file"] = (64 << 20, told)
    asterisk.answer("GET", "/endpoints", 200, "[]")
    async with client(asterisk.url, concurrency=1) as rest:
        with pytest.raises(AnswerTooLargeError, match="more than 1048576 bytes") as caught:
            await rest.request("GET", "/recordings/stored/long/file", max_bytes=1 << 20)
        following = await rest.request("GET", "/endpoints")

    assert (caught.value.status_code, caught.value.sent) == (502, True)
    assert following == Answer(200, "[]")
    # What the kernel's buffers take goes out as well.
    assert asterisk.written < 32 << 20


@pytest.mark.parametrize("told", [True, False], ids=["content-length", "chunked"])
async def test_answer_of_just_the_limit_is_read(asterisk: ScriptedAsterisk, *, told: bool) -> None:
    asterisk.large["/endpoints"] = (1 << 20, told)
    async with client(asterisk.url) as rest:
        answer = await rest.request("GET", "/endpoints", max_bytes=1 << 20)

    assert answer == Answer(200, "x" * (1 << 20))


async def test_ended_client_opens_no_connection(asterisk: ScriptedAsterisk) -> None:
    async with client(asterisk.url) as rest:
        await rest.request("GET", "/endpoints")

    with pytest.raises(UnreachableError, match="the client has ended") as caught:
        await rest.request("GET", "/endpoints")

    assert not caught.value.sent
    assert len(asterisk.requests) == 1


class ResettingLoop(uvloop.Loop):
    """The loop of the images; the peer resets each connection as soon as its socket is there."""

    def __init__(self) -> None:
        super().__init__()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.made: list[Any] = []

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        peer, _ = await self.sock_accept(self.listening)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        arrival = select.poll()
        arrival.register(options["sock"], select.POLLHUP)
        arrival.poll()
        made = await super().create_connection(*args, **options)
        self.made.append(made[0])
        return made


def test_request_whose_connection_is_reset_before_it_was_not_sent() -> None:
    loop = ResettingLoop()

    async def request() -> UnreachableError:
        port = loop.listening.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}/ari") as rest:
            with pytest.raises(UnreachableError, match="reset") as caught:
                await rest.request("POST", "/channels/c/answer")
        return caught.value

    with loop.listening, asyncio.Runner(loop_factory=lambda: loop) as runner:
        error = runner.run(request())

    assert not error.sent
    assert [transport.is_closing() for transport in loop.made] == [True]


async def test_connection_that_does_not_close_in_order_is_aborted() -> None:
    ended = asyncio.Event()

    async def read_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.transport.abort()

    async with listening(read_nothing) as url:
        connections = HttpConnections(url, tls=AriTls(), keep_seconds=10)
        connection = await connections.connection()
        sending = asyncio.create_task(connections.exchange(connection, b"x" * (64 << 20), 1))
        await until(lambda: cast("asyncio.Transport", connection.transport).get_write_buffer_size())
        await connections.close()
        done, _ = await asyncio.wait([sending], timeout=10)
        ended.set()

    assert done == {sending}
    assert isinstance(sending.exception(), (OSError, aiohttp.ClientError))
    with pytest.raises(NotConnectedError):
        await connections.connection()


async def test_client_ends_connections_that_it_no_longer_uses() -> None:
    ended = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ended
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        ended += 1

    async with listening(answer) as url:
        connections = HttpConnections(url, tls=AriTls(), keep_seconds=0.1)
        request = b"GET /ari/endpoints HTTP/1.1\r\n\r\n"
        taken = [await connections.connection() for _ in range(3)]
        await asyncio.gather(*(connections.exchange(one, request, 1) for one in taken))
        opened = len(connections._open)
        await until(lambda: ended == opened)
        assert not connections._open
        await connections.close()


class Rotated:
    """A source whose context a test changes."""

    def __init__(self, authority: Path) -> None:
        self.context = ssl.create_default_context(cafile=authority)

    def current(self) -> ssl.SSLContext:
        return self.context


async def test_kept_connection_is_not_used_with_another_authority(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates.server, certificates.server_key)
    source = Rotated(certificates.authority)
    async with scripted_asterisk(tls=server) as asterisk:
        url = asterisk.url.replace("http:", "https:")
        tls = AriTls(source)
        async with RestClient(url, HUSH, concurrency=1, timeout_seconds=20, tls=tls) as rest:
            await rest.request("GET", "/endpoints")
            source.context = ssl.create_default_context()  # Does not know the tests' authority.
            with pytest.raises(UnreachableError) as caught:
                await rest.request("GET", "/endpoints")

    assert not caught.value.sent
    assert len(asterisk.requests) == 1
