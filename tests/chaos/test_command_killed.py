"""An executor is killed with commands in flight; both buses."""

import asyncio
import base64
import contextlib
import json
from functools import partial
from pathlib import Path

from ari_proxy import App, Call
from tests.support import process
from tests.support.process import environment_of
from tests.support.running import LegacyClient, bus_client, until, until_serving
from tests.support.scripted_asterisk import scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import settings_of


async def test_command_in_flight_is_executed_at_most_once_and_the_next_one_works_at_once(
    bus_server: BusServer, tmp_path: Path
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        common = environment_of(settings)
        async with (
            bus_client(settings) as bus,
            process.running(tmp_path / "ingest", "ingest", **common),
            process.running(tmp_path / "a", "command", **common, ARI_PROXY_ARI__USER="a") as first,
            process.running(tmp_path / "b", "command", **common, ARI_PROXY_ARI__USER="b") as second,
        ):
            executors = {"a": first, "b": second}
            for executor in executors.values():
                await executor.logged("bus.connected")
            await until_serving(bus)
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(_stasis_start("c"))
            dialog = await client.first_dialog()
            asterisk.hold = asyncio.Event()
            for number in range(3):
                url = f"/channels/c/ring?n={number}"
                command = {"unique_id": f"{number}", "method": "POST", "url": url}
                bus.publish(f"commands_{dialog}", json.dumps(command).encode())
            await until(lambda: asterisk.requests)
            user = _user(asterisk.requests[0].authorization)
            executors[user].kill()
            await executors[user].ended()
            lost = [r for r in asterisk.requests if _user(r.authorization) == user]
            asterisk.hold.set()
            asterisk.hold = None

            answer = await _answered(client, dialog)

    targets = [request.target for request in asterisk.requests]
    assert len(targets) == len(set(targets))
    assert answer["status_code"] == 204, answer
    # What was in flight may have been done: nobody says that it was, and nobody does it again.
    done = {r["unique_id"] for r in client.responses[dialog] if r["status_code"] == 204}
    assert not done & {request.target[-1] for request in lost}


async def test_call_goes_on_whose_request_was_lost_with_its_executor(
    bus_server: BusServer, tmp_path: Path
) -> None:
    answered = asyncio.Event()
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        common = environment_of(settings)
        app = App("demo", bus_server.url)

        @app.call
        async def serve(call: Call) -> None:
            asterisk.hold = asyncio.Event()
            await call.answer()
            answered.set()

        def executor() -> str:
            """The one that has the request."""
            sent = [r for r in asterisk.requests if r.target.endswith("/answer")]
            return _user(sent[0].authorization) if sent else ""

        async with (
            bus_client(settings) as bus,
            process.running(tmp_path / "ingest", "ingest", **common),
            process.running(tmp_path / "a", "command", **common, ARI_PROXY_ARI__USER="a") as first,
            process.running(tmp_path / "b", "command", **common, ARI_PROXY_ARI__USER="b") as second,
            app,
        ):
            executors = {"a": first, "b": second}
            for each in executors.values():
                await each.logged("bus.connected")
            await until_serving(bus)
            await asterisk.push(_stasis_start("c"))
            await until(executor)
            executors[executor()].kill()
            await executors[executor()].ended()
            held, asterisk.hold = asterisk.hold, None
            assert held is not None
            held.set()
            async with asyncio.timeout(20):
                await answered.wait()


async def _answered(client: LegacyClient, dialog: str) -> dict[str, object]:
    """Send the next command, and again what the bus gave to the dead executor a moment ago."""
    for attempt in range(1, 4):
        name = f"next {attempt}"
        command = {"unique_id": name, "method": "POST", "url": f"/channels/c/answer?{attempt}"}
        client._bus.publish(f"commands_{dialog}", json.dumps(command).encode())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await client.until(partial(_responses, client, dialog, name))
            (answer,) = _responses(client, dialog, name)
            if answer["status_code"] == 204:
                return answer
    raise AssertionError(client.responses[dialog])


def _responses(client: LegacyClient, dialog: str, name: str) -> list[dict[str, object]]:
    return [r for r in client.responses[dialog] if r["unique_id"] == name]


def _user(authorization: str) -> str:
    return base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]


def _stasis_start(channel: str) -> str:
    return json.dumps(
        {"type": "StasisStart", "application": "demo", "channel": {"id": channel}, "args": []}
    )
