"""A headless Chromium, driven by the Chrome DevTools Protocol."""

import asyncio
import base64
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from tests.support.running import until

#: Where docs have their pictures; written there when asked (`make screenshots`).
SCREENSHOTS = Path(os.environ["SCREENSHOTS"]) if "SCREENSHOTS" in os.environ else None
#: Disables all traffic but that of the pages under test.
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--proxy-server=socks5://127.0.0.1:9",
    "--proxy-bypass-list=127.0.0.1",
    "--remote-debugging-port=0",
    "--window-size=1280,800",
)


class Page:
    """One page and its errors."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        #: Errors of scripts, and of what the page was not allowed to load.
        self.complaints: list[str] = []

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Run one command of the protocol."""
        number = next(self._ids)
        command = {"id": number, "method": method, "params": parameters}
        async with asyncio.timeout(20):
            await self._connection.send(json.dumps(command))
            while True:
                message = json.loads(await self._connection.recv())
                if message.get("id") == number:
                    assert "error" not in message, message["error"]
                    result: dict[str, Any] = message["result"]
                    return result
                self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(message["params"]["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry["level"] == "error":
                self.complaints.append(entry["text"])

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self.do(f"{domain}.enable")
        await self.do("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = await self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""

        async def holds() -> bool:
            return bool(await self.evaluate(expression))

        await until(holds)

    async def screenshot(self, path: Path) -> None:
        answer = await self.do("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))


@asynccontextmanager
async def page(chromium: str) -> AsyncIterator[Page]:
    """Run a browser, the program `chromium`, around a block."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.to_thread(
            subprocess.Popen,
            [chromium, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = Path(profile) / "DevToolsActivePort"
            await until(lambda: port.exists() and len(port.read_text().split()) > 1)
            url = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                targets = await answer.json()
            target = next(t for t in targets if t["type"] == "page")
            async with connect(
                target["webSocketDebuggerUrl"], max_size=None, compression=None, proxy=None
            ) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)
