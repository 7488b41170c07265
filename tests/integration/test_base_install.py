"""The wheel, installed by pip into an empty environment, and README's application run there."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from ari_proxy.__about__ import __version__
from tests.support import process
from tests.support.environments import ROOT, constraints, distributions
from tests.support.ports import free_port
from tests.support.programs import missing
from tests.support.running import until
from tests.support.servers import NatsServer

#: pip's words where no index answers, or it has nothing.
NO_INDEX = "No matching distribution found|Could not find a version"
SERVER = distributions("server", "operator", "traces", "standalone") - distributions()

pytestmark = [pytest.mark.package_index, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("dist")
    build = ["-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run(
        [sys.executable, *build, found], cwd=ROOT, check=True, capture_output=True, timeout=50
    )
    (path,) = found.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, as pip makes it."""
    directory = tmp_path_factory.mktemp("base")
    venv.create(directory / "venv", with_pip=True)
    python = directory / "venv" / "bin" / "python"
    # The versions that everything is tested with; the index alone says where they are.
    versions = directory / "versions"
    versions.write_text(constraints())
    install = ["-m", "pip", "install", "--retries", "1", "--constraint"]
    done = subprocess.run(
        [python, *install, versions, wheel],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if re.search(NO_INDEX, done.stderr):
        missing("package_index", "a network, or pip's settings for an index (PIP_INDEX_URL)")
    assert done.returncode == 0, done.stderr
    return python


def output(*command: Path | str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    return done.stdout


def test_nothing_of_the_server_is_installed(installed: Path) -> None:
    listed = json.loads(output(installed, "-m", "pip", "list", "--format", "json"))
    names = {re.sub(r"[-_.]+", "-", package["name"].lower()) for package in listed}

    assert names & SERVER == set()
    assert names - {"pip", "setuptools"} == distributions() | {"ari-proxy"}
    assert output(installed, "-m", "pip", "check") == "No broken requirements found.\n"


def test_command_that_is_not_installed_says_how_to_get_it(installed: Path) -> None:
    script = installed.with_name("ari-proxy")

    assert output(script, "--version") == f"{__version__}\n"
    ended = subprocess.run([script, "ingest"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "pip install 'ari-proxy[server]'" in ended.stderr


def test_wheel_says_that_it_is_typed_and_what_its_extras_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()

    assert "ari_proxy/py.typed" in names
    extras = re.findall(r"^Provides-Extra: (.*)$", text, re.MULTILINE)
    assert {"server", "operator", "traces", "standalone"} <= set(extras)
    base = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*; extra)", text, re.MULTILINE)
    assert {"nats-py", "aiormq"} <= set(base) <= distributions()


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """README's first application."""
    block = re.search(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert block is not None
    path = tmp_path / "hello.py"
    path.write_text(block[1])
    return path


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    server = NatsServer()
    server.start()
    yield server
    server.stop()


async def test_hello_serves_a_call_there(
    installed: Path, hello: Path, nats: NatsServer, tmp_path: Path
) -> None:
    hello.write_text(hello.read_text().replace("4222", f"{nats.port}"))
    asterisk = f"127.0.0.1:{free_port()}"
    environment = {
        "ARI_PROXY_SERVER_ID": "asterisk-1",
        "ARI_PROXY_APPLICATIONS": '["demo"]',
        "ARI_PROXY_ARI__REST_URL": f"http://{asterisk}/ari",
        "ARI_PROXY_ARI__WEBSOCKET_URL": f"ws://{asterisk}/ari/events",
        "ARI_PROXY_ARI__PASSWORD": "ari",
        "ARI_PROXY_BUS__URLS": json.dumps([nats.url]),
    }
    port = asterisk.partition(":")[2]
    printed = tmp_path / "printed"
    async with (
        process.running(tmp_path / "simulate", "simulate", "--port", port),
        process.running(tmp_path / "standalone", "standalone", **environment) as proxy,
    ):
        await proxy.logged("websocket.connected")
        with printed.open("wb") as file:
            running = await asyncio.to_thread(
                subprocess.Popen,
                [installed, hello],
                stdout=file,
                stderr=file,
                cwd=tmp_path,
                env={"PATH": os.environ["PATH"]},
            )
        try:
            await until(lambda: "bus.connected" in printed.read_text())
            await place_call(asterisk)
            await until(lambda: "served asterisk-1." in printed.read_text())
            running.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.wait, 20) == 0, printed.read_text()
        finally:
            running.kill()
            await asyncio.to_thread(running.wait)


async def place_call(asterisk: str) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth("ari", "ari")}
    url = f"http://{asterisk}/ari/channels?endpoint=Local/100@default&app=demo"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url) as answer:
        assert answer.status == 200
