"""What README.md shows, run as it stands there, on free ports."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ari_proxy.bus.base import opened
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from tests.support.documented_rights import PASSWORD
from tests.support.link import Link
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.running import until
from tests.support.servers import NatsServer

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
    (tmp_path / "hello.py").write_text(with_ports(block("python", "async def serve"), ports))
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


def pasted(text: str, ports: dict[str, str]) -> str:
    """A block as it stands, but on other ports."""
    text = text.replace("nats-server &", "nats-server -a 127.0.0.1 -p 4222 &")
    return with_ports(
        text.replace("ari-proxy simulate &", "ari-proxy simulate --port 8088 &"), ports
    )


@contextmanager
def shell(text: str, directory: Path) -> Iterator[Path]:
    """Paste a block into a shell, whole; its output. What it has started ends with it."""
    programs = {Path(program(name)).parent for name in ("nats-server", "curl")}
    path = os.pathsep.join(map(str, [Path(sys.executable).parent, *programs, os.environ["PATH"]]))
    output = directory / "output"
    with output.open("wb") as file:
        pasted = subprocess.Popen(
            ["bash", "-s"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            cwd=directory,
            env=os.environ | {"PATH": path},
            start_new_session=True,
        )
        try:
            assert pasted.stdin is not None
            pasted.stdin.write(text.encode())
            pasted.stdin.close()
            yield output
        finally:
            os.killpg(pasted.pid, signal.SIGKILL)
            pasted.wait()


async def test_application_of_your_own(directory: Path, ports: dict[str, str]) -> None:
    with shell(pasted(block("sh", "hello.py"), ports), directory) as output:
        await until(lambda: "served asterisk-1." in output.read_text())


async def test_application_of_your_own_on_rabbitmq(
    directory: Path, ports: dict[str, str], rabbitmq_link: Link
) -> None:
    hello = directory / "hello.py"
    url = f"nats://127.0.0.1:{ports['4222']}"
    hello.write_text(hello.read_text().replace(url, rabbitmq_link.url))
    config = json.loads((directory / "config.example.json").read_text())
    config |= {"message_bus": "RABBITMQ", "bus_config": {"url": rabbitmq_link.url}}
    (directory / "config.example.json").write_text(json.dumps(config))
    lines = pasted(block("sh", "hello.py"), ports).splitlines(keepends=True)

    without_nats = "".join(line for line in lines if "nats-server" not in line)
    with shell(without_nats, directory) as output:
        await until(lambda: "served " in output.read_text())


async def test_application_of_your_own_ends_on_a_signal(
    directory: Path, nats_server: NatsServer, ports: dict[str, str]
) -> None:
    hello = directory / "hello.py"
    hello.write_text(hello.read_text().replace(ports["4222"], f"{nats_server.port}"))
    running = subprocess.Popen([sys.executable, hello])
    try:
        options = NatsOptions(
            urls=(nats_server.url,), name="test", user="ingest", password=PASSWORD
        )
        async with opened(NatsBus(options)) as bus:
            await until(lambda: has_listener(bus, "demo", b"no AppStart"))
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
    finally:
        running.kill()
        running.wait()


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
    assert command in (ROOT / ".ci/bare").read_text()
