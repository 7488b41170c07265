"""What README.md shows, run as it stands there, on free ports."""

import asyncio
import contextlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ari_proxy.bus.base import opened
from tests.support.link import Link
from tests.support.programs import program
from tests.support.running import until
from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    (found,) = [text for text in blocks if containing in text]
    return str(found)


@pytest.fixture
def ports() -> dict[str, str]:
    """The ports that README names, and those that this test uses."""
    return {port: str(free_port()) for port in ("4222", "8088", "9797")}


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"\b(4222|8088|9797)\b", lambda match: ports[match[0]], text)


@pytest.fixture
def directory(tmp_path: Path, ports: dict[str, str]) -> Path:
    config = json.loads(with_ports((ROOT / "config.example.json").read_text(), ports))
    config["admin"] = {"port": int(ports["9797"])}
    (tmp_path / "config.example.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "hello.py").write_text(with_ports(block("python", "Application"), ports))
    return tmp_path


def arguments_of(line: str, ports: dict[str, str]) -> list[str]:
    """One command of README as the same one on other ports, with this environment's programs."""
    words = shlex.split(line.removesuffix("&"))
    more = {
        "nats-server": ["-a", "127.0.0.1", "-p", ports["4222"]],
        "ari-proxy simulate": ["--port", ports["8088"]],
    }
    programs = {
        "nats-server": [program("nats-server")],
        "ari-proxy": [sys.executable, "-m", "ari_proxy"],
        "python": [sys.executable],
    }
    added = more.get(words[0], []) + more.get(" ".join(words[:2]), [])
    return programs[words[0]] + words[1:] + added


@pytest.fixture
def processes(directory: Path, ports: dict[str, str]) -> Iterator[dict[str, Path]]:
    """Everything in the background that the block starts; the output of each."""
    outputs: dict[str, Path] = {}
    with ExitStack() as stack:
        for line in block("sh", "hello.py").splitlines():
            if not line.endswith("&"):
                continue
            outputs[line] = directory / f"{len(outputs)}.log"
            output = stack.enter_context(outputs[line].open("wb"))
            process = subprocess.Popen(
                arguments_of(line, ports), cwd=directory, stdout=output, stderr=output
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield outputs


async def test_application_of_your_own(processes: dict[str, Path], ports: dict[str, str]) -> None:
    (curl,) = [line for line in block("sh", "hello.py").splitlines() if line.startswith("curl")]
    words = shlex.split(with_ports(curl, ports))
    account = aiohttp.encode_basic_auth(*words[words.index("-u") + 1].split(":"))
    root = words[-1].partition("/channels")[0]
    async with aiohttp.ClientSession(headers={"Authorization": account}) as session:
        await until_known(session, f"{root}/applications/demo")
        async with session.post(words[-1]) as answer:
            assert answer.status == 200
    await until(lambda: "served asterisk-1." in processes["python hello.py &"].read_text())


async def until_known(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until the simulator is there and the proxy has registered the application."""

    async def known() -> bool:
        with contextlib.suppress(aiohttp.ClientConnectorError):
            async with session.get(url) as answer:
                return answer.status == 200
        return False

    await until(known)


@pytest.mark.parametrize("line", block("sh", "check-config").splitlines())
def test_command_lines_are_those_of_the_program(
    line: str, directory: Path, ports: dict[str, str]
) -> None:
    arguments = arguments_of(line, ports)
    if "standalone" in line:  # Runs for ever: `test_command_line.py` does that.
        arguments.append("--help")

    ended = subprocess.run(arguments, cwd=directory, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_first_commands_are_what_ci_runs(command: str) -> None:
    assert re.search(rf"^    {command} ", README, re.MULTILINE)
    assert re.search(rf"^{command}\b", (ROOT / ".ci/run").read_text(), re.MULTILINE)


async def test_rabbitmq_is_used_as_it_says(rabbitmq_link: Link) -> None:
    shown: dict[str, Any] = {}
    exec(block("python", "RabbitMqBus(").replace("5672", f"{rabbitmq_link.port}"), shown)  # noqa: S102

    async with opened(shown["bus"]) as bus, asyncio.timeout(20):
        await bus.wait_connected()
