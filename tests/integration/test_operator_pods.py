"""The operator's queries of pods: only a complete answer of the expected form counts."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import pytest

from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi
from ari_proxy.operator.observe import pods
from ari_proxy.operator.observe.pods import Answers
from ari_proxy.operator.state import PodQuery
from ari_proxy.telemetry.metrics import Metrics
from tests.support import resources
from tests.support.ports import free_port
from tests.support.running import until
from tests.support.shown_server import ShownDialogs, ShownServer, check

HERE = "127.0.0.1"
#: A pod's answers by path: status and body; ENDLESS sends more and more of it.
Responses = Mapping[str, tuple[int, bytes]]
ENDLESS = b"...."
MISSING = (404, b'{"detail":"Not Found"}')
DEEP = b"[" * 100_000


def seen(name: str, address: str = HERE) -> PodQuery:
    return PodQuery(resources.pod(name, podIP=address))


@asynccontextmanager
async def pod(count: int | None, **checks: str) -> AsyncIterator[int]:
    """Serve the real admin API of a pod; yield its port."""
    port = free_port()
    found = {name: check(said) for name, said in checks.items()}
    server = ShownServer(found, ShownDialogs(count_open=lambda: count))
    api = AdminApi({}, Metrics(), {"a": server}, has_dialogs=True)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(admin_api.serve(api, HERE, port))
        await until(lambda: _answers(port))
        yield port
        serving.cancel()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HERE, port)
    except OSError:
        return False
    writer.close()
    return True


class ScriptedPod:
    """A pod with scripted answers."""

    def __init__(self, responses: Responses, head: bytes) -> None:
        self._responses = responses
        self._head = head
        self.port = 0
        self.paths: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split()[1].decode()
            self.paths.append(path)
            status, body = self._responses.get(path, MISSING)
            length = b"" if body == ENDLESS else b"Content-Length: %d\r\n" % len(body)
            line = b"HTTP/1.1 %d Scripted\r\n" % status
            writer.write(line + length + self._head + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            while body == ENDLESS:
                writer.write(b" " * 65536)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def scripted(responses: Responses, head: bytes = b"") -> AsyncIterator[ScriptedPod]:
    pod = ScriptedPod(responses, head)
    server = await asyncio.start_server(pod.talk, HERE, 0)
    async with server:
        pod.port = server.sockets[0].getsockname()[1]
        yield pod


async def test_pod_reports_its_failing_checks() -> None:
    async with pod(0, bus="", websocket="Asterisk answers 401") as port:
        said = await pods.failed_checks([seen("p")], port)

    assert said == Answers({"p": "websocket: Asterisk answers 401"}, {})


async def test_pod_without_failing_checks_is_left_out() -> None:
    async with pod(0, bus="") as port:
        assert await pods.failed_checks([seen("p")], port) == Answers({}, {})


async def test_pod_reports_its_open_dialogs() -> None:
    async with pod(2) as port:
        answers = await pods.dialogs([seen("p"), seen("gone", "::1")], port)

    assert answers.values == {"p": 2}
    assert set(answers.failures) == {"gone"}
    assert answers.failures["gone"].startswith("connection failed: ")


async def test_count_needs_one_request() -> None:
    async with scripted({"/dialogs/count": (200, b'{"open":3}')}) as pod:
        assert (await pods.dialogs([seen("p")], pod.port)).values == {"p": 3}

    assert pod.paths == ["/dialogs/count"]


async def test_recovering_pod_reports_no_number() -> None:
    async with pod(None) as port:
        assert await pods.dialogs([seen("p")], port) == Answers({}, {"p": answered(503)})


async def test_ingest_of_an_older_version_lists_its_dialogs() -> None:
    """It has no /dialogs/count."""
    dialogs = [{"state": "open", "events": 1}, {"state": "ended"}, {"state": "waiting"}]
    async with scripted({"/dialogs": (200, json.dumps(dialogs).encode())}) as pod:
        assert await pods.dialogs([seen("p")], pod.port) == Answers({"p": 2}, {})

    assert pod.paths == ["/dialogs/count", "/dialogs"]


def answered(status: int, path: str = "/dialogs/count") -> str:
    return f"GET {path} answered {status}"


FORM = "GET {} answered in an unexpected form: "


@pytest.mark.parametrize(
    ("responses", "reason"),
    [
        ({}, answered(404, "/dialogs")),
        ({"/dialogs/count": (204, b""), "/dialogs": (200, b"[]")}, answered(204)),
        ({"/dialogs": (500, b"[]")}, answered(500, "/dialogs")),
        ({"/dialogs": (200, b"{}")}, FORM.format("/dialogs")),
        ({"/dialogs": (200, b"[{}]")}, FORM.format("/dialogs")),
        ({"/dialogs": (200, b"[1]")}, FORM.format("/dialogs")),
        ({"/dialogs": (200, b'[{"state":"ended"}')}, FORM.format("/dialogs")),
        ({"/dialogs": (200, b"[]" + ENDLESS)}, FORM.format("/dialogs")),
        ({"/dialogs": (200, ENDLESS)}, "GET /dialogs answered more than 1048576 bytes"),
        ({"/dialogs": (200, b"[" + b" " * 1048576 + b"]")}, "GET /dialogs answered more than"),
        *(
            (
                {"/dialogs/count": (status, b'{"open":0}'), "/dialogs": (200, b"[]")},
                answered(status),
            )
            for status in (201, 302, 401, 500, 502, 503)
        ),
        *(
            (
                {"/dialogs/count": (200, body), "/dialogs": (200, b"[]")},
                "GET /dialogs/count answered ",
            )
            for body in (
                b"",
                b"0",
                b"[]",
                b"{}",
                b"null",
                b"<html>",
                b"\xff",
                b'{"open":"0"}',
                b'{"open":-1}',
                b'{"open":false}',
                b'{"open":null}',
                b'{"open":0.5}',
                b'{"open":0}{"open":1}',
                b'{"open":0,"more":' + DEEP,
                ENDLESS,
            )
        ),
    ],
)
async def test_malformed_answer_is_no_number(responses: Responses, reason: str) -> None:
    """The operator deletes a pod at 0, so nothing else may be read as 0."""
    async with scripted(responses) as pod:
        answers = await pods.dialogs([seen("p")], pod.port)

    assert answers.values == {}
    assert answers.failures["p"].startswith(reason)


async def test_compressed_answer_is_refused() -> None:
    """A few bytes could expand to any number."""
    said = {"/dialogs/count": (200, gzip.compress(b'{"open":0}'))}
    async with scripted(said, b"Content-Encoding: gzip\r\n") as pod:
        answers = await pods.dialogs([seen("p")], pod.port)

    assert answers.values == {}
    assert answers.failures["p"].startswith(FORM.format("/dialogs/count"))


async def test_truncated_answer_is_refused() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"open":0}')
        writer.close()

    server = await asyncio.start_server(break_off, HERE, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answers = await pods.dialogs([seen("p")], port)

    assert answers == Answers({}, {"p": "the answer breaks off or is not HTTP"})


async def test_query_of_a_hanging_pod_times_out() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, HERE, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        many = [seen(f"p{number}") for number in range(pods.MAX_CONCURRENT_QUERIES)]
        said = await pods.failed_checks(many, port, timeout_seconds=0.2)
        dialogs = await pods.dialogs(many, port, timeout_seconds=0.2)

    assert (said.values, dialogs.values) == ({}, {})
    assert len(said.failures) == len(dialogs.failures) == len(many)
    assert set(said.failures.values()) == {"no answer within 0.2 s"}


@pytest.mark.parametrize("status", [200, 503])
async def test_readiness_is_read_with_either_status(status: int) -> None:
    body = b'{"ready":false,"checks":{"bus":"no connection","asterisk":"ok"}}'
    async with scripted({"/readyz": (status, body)}) as pod:
        assert (await pods.failed_checks([seen("p")], pod.port)).values == {
            "p": "bus: no connection"
        }


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b'{"checks":{"bus":"down"}}', answered(404, "/readyz")),
        (500, b'{"checks":{"bus":"down"}}', answered(500, "/readyz")),
        (503, b"Service Unavailable", FORM.format("/readyz")),
        (503, b"", FORM.format("/readyz")),
        (200, b"{}", FORM.format("/readyz")),
        (200, b"[1]", FORM.format("/readyz")),
        (200, b'{"checks":1}', FORM.format("/readyz")),
        (503, b'{"checks":{"bus":1}}', FORM.format("/readyz")),
        (503, ENDLESS, "GET /readyz answered more than"),
        (503, b'{"checks":' + DEEP, FORM.format("/readyz")),
    ],
)
async def test_malformed_readiness_is_refused(status: int, body: bytes, reason: str) -> None:
    async with scripted({"/readyz": (status, body)}) as pod:
        said = await pods.failed_checks([seen("p")], pod.port)

    assert said.values == {}
    assert said.failures["p"].startswith(reason)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b'{"checks":{},"active":true}', {"p": True}),
        (b'{"checks":{},"active":false}', {"p": False}),
        (b'{"checks":{}}', {}),  # A former version.
    ],
)
async def test_pod_says_whether_it_is_active(said: bytes, expected: dict[str, bool]) -> None:
    async with scripted({"/readyz": (503, said)}) as pod:
        assert (await pods.active([seen("p")], pod.port)).values == expected


# Pods of several servers


@asynccontextmanager
async def shared_pod(**servers: Mapping[str, str]) -> AsyncIterator[int]:
    """Serve the real admin API of a pod, with the checks of its servers; yield its port."""
    port = free_port()
    shown = {
        name: ShownServer(
            {item: check(said) for item, said in checks.items()},
            ShownDialogs(count_open=partial(len, name)),
        )
        for name, checks in servers.items()
    }
    api = AdminApi({}, Metrics(), shown, has_dialogs=True)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(admin_api.serve(api, HERE, port))
        await until(lambda: _answers(port))
        yield port
        serving.cancel()


async def test_pod_says_what_fails_of_each_server() -> None:
    failing = {"websocket": "it is not connected", "bus": ""}
    async with shared_pod(a={"bus": ""}, b=failing) as port:
        answers = await pods.server_checks([seen("p")], port)

    assert answers.values == {"p": {"a": "", "b": "websocket: it is not connected"}}


async def test_pod_with_one_of_several_servers_says_what_fails() -> None:
    async with shared_pod(a={"bus": "no connection"}) as port:
        answers = await pods.server_checks([seen("p")], port)

    assert answers.values == {"p": {"a": "bus: no connection"}}


async def test_dialogs_are_those_of_one_server() -> None:
    async with shared_pod(a={}, bb={}) as port:
        asked = [PodQuery(seen("p").pod, server) for server in ("a", "bb", "other")]
        answers = await pods.dialogs(asked, port)

    # A pod that does not serve it has none.
    assert answers.values == {"p?server=a": 1, "p?server=bb": 2, "p?server=other": 0}


async def test_one_server_of_a_pod_may_be_active() -> None:
    async with shared_pod(a={}, b={}) as port:
        answers = await pods.active([PodQuery(seen("p").pod, "b")], port)

    assert answers.values == {"p?server=b": True}
