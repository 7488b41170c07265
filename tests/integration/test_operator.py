"""The operator's edges that need no cluster: pods that are asked, a cluster that is not there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ari_proxy import health
from ari_proxy.health import AdminApi, Check
from ari_proxy.operator import pods
from ari_proxy.telemetry.metrics import Metrics
from tests.support import resources
from tests.support.process import running
from tests.support.running import until
from tests.support.servers import free_port

HERE = "127.0.0.1"


def check(said: str) -> Check:
    async def checked() -> str:
        return said

    return checked


@asynccontextmanager
async def pod(port: int, dialogs: list[dict[str, Any]], **checks: str) -> AsyncIterator[None]:
    """The admin API of a pod."""
    api = AdminApi(
        checks={name: check(said) for name, said in checks.items()},
        metrics=Metrics(),
        dialogs=lambda: dialogs,
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(health.serve(api, HERE, port))
        await until(lambda: _answers(port))
        yield
        serving.cancel()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HERE, port)
    except OSError:
        return False
    writer.close()
    return True


def seen(name: str, address: str = HERE) -> dict[str, Any]:
    return resources.pod(name, podIP=address)


async def test_pod_tells_what_is_wrong() -> None:
    port = free_port()
    async with pod(port, [], bus="", websocket="Asterisk answers 401"):
        said = await pods.complaints([seen("p")], port)

    assert said == {"p": "websocket: Asterisk answers 401"}


async def test_pod_tells_its_dialogs() -> None:
    port = free_port()
    dialogs = [{"state": "open"}, {"state": "ended"}, {"state": "waiting"}]
    async with pod(port, dialogs):
        assert await pods.dialogs([seen("p"), seen("gone", "::1")], port) == {"p": 2, "gone": None}


async def test_pod_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "ASK_SECONDS", 0.2)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, HERE, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        many = [seen(f"p{number}") for number in range(pods.ASKED_AT_ONCE)]
        assert await pods.complaints(many, port) == {}
        assert set((await pods.dialogs(many, port)).values()) == {None}


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"checks": 1}'])
async def test_answer_that_is_none_is_no_answer(content: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        writer.close()

    server = await asyncio.start_server(talk, HERE, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await pods.complaints([seen("p")], port) == {}
        assert await pods.dialogs([seen("p")], port) == {"p": None}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("KUBECONFIG", "/nowhere/kubeconfig", "no Kubernetes cluster"),
        ("ARI_PROXY_WORKERS", "0", "environment variable ARI_PROXY_WORKERS"),
        ("ARI_PROXY_NAMESPACES", '["voice"', "namespaces"),
    ],
)
async def test_operator_that_cannot_work_says_why(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    async with running(tmp_path / "log", "operator", **{variable: value}) as process:
        assert await process.ended() == 1
        text = process.log

    assert text.startswith("error: ")
    assert message in text
    assert "Traceback" not in text
