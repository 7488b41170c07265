"""`ari-proxy` as a process, with its log."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from ari_proxy.settings.load import Settings
from tests.support import documented_rights
from tests.support.running import until

#: Shorter ones stand in other words.
_SECRET_LENGTH = 8
_REPORTED_LINES = 60


class Process:
    """A running `ari-proxy`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """Return everything that it has written."""
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of one log event."""
        complete = self.log.splitlines(keepends=True)
        lines = [json.loads(s) for s in complete if s.startswith("{") and s.endswith("\n")]
        return [line for line in lines if line["event"] == name]

    async def logged(self, name: str) -> dict[str, Any]:
        """Wait for a log event and return its first line."""
        try:
            await until(lambda: self.events(name) or self._process.poll() is not None)
        except TimeoutError as error:
            last = "\n".join(self.log.splitlines()[-5:])
            raise TimeoutError(f"{name} is not in the log, which ends: {last}") from error
        assert self.events(name), self.log
        return self.events(name)[0]

    def signal(self) -> None:
        """Send it a signal."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()

    def freeze(self) -> None:
        """Suspend it; its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        self._process.send_signal(signal.SIGCONT)

    async def admin(self, path: str) -> tuple[int, str]:
        """Query its admin API; return status and text."""
        port = (await self.logged("admin.listening"))["port"]
        url = f"http://127.0.0.1:{port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def ended(self) -> int:
        """Wait until it exits; return the exit status, or minus the signal."""
        await until(lambda: self._process.poll() is not None)
        code = self._process.poll()
        assert code is not None
        return code


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings of a test as environment variables."""
    ari, bus = settings.ari, settings.bus
    outbound = {
        "ARI_PROXY_ARI__CONNECTION": ari.connection,
        "ARI_PROXY_ARI__LISTEN": ari.listen,
        "ARI_PROXY_COMMAND__TRANSPORT": settings.command.transport,
    }
    return (outbound if ari.connection == "outbound" else {}) | {
        "ARI_PROXY_SERVER_ID": settings.server_id,
        "ARI_PROXY_APPLICATIONS": json.dumps(settings.applications),
        "ARI_PROXY_ARI__REST_URL": ari.rest_url,
        "ARI_PROXY_ARI__WEBSOCKET_URL": ari.websocket_url,
        "ARI_PROXY_ARI__PASSWORD": ari.password.get_secret_value(),
        "ARI_PROXY_BUS__KIND": bus.kind,
        "ARI_PROXY_BUS__URLS": json.dumps(bus.urls),
    }


@asynccontextmanager
async def running(log: Path, *arguments: str, **environment: str) -> AsyncIterator[Process]:
    """Run `ari-proxy` around a block; JSON logs, any admin port unless it is given or ''."""
    common = {"ARI_PROXY_ADMIN__PORT": "0", "ARI_PROXY_LOG__FORMAT": "json"}
    if environment.get("ARI_PROXY_ADMIN__PORT") == "":
        del environment["ARI_PROXY_ADMIN__PORT"], common["ARI_PROXY_ADMIN__PORT"]
    account = documented_rights.environment(arguments[0], environment)
    with log.open("wb") as output:
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-m", "ari_proxy", *arguments],
            env={**os.environ, **common, **account, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Process(process, log)
    except Exception:
        print(f"{' '.join(arguments)}, {process.pid}:", *_last_lines(log), sep="\n")
        raise
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    shown = [name for name, value in environment.items() if _is_shown(name, value, log)]
    assert shown == [], "the log shows a secret"


def _last_lines(log: Path) -> list[str]:
    """Return the end of a log for the report of a failed test, without what each call writes."""
    lines = [line for line in log.read_text().splitlines() if '"event": "dialog.' not in line]
    return lines[-_REPORTED_LINES:]


def _is_shown(name: str, value: str, log: Path) -> bool:
    is_secret = name.endswith(("PASSWORD", "TOKEN")) and len(value) >= _SECRET_LENGTH
    return is_secret and value in log.read_text()


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `ari-proxy` until it exits."""
    return subprocess.run(
        [sys.executable, "-m", "ari_proxy", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
