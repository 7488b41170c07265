"""A handler and what it leaves behind: legs, as its own hang-up is heard of late."""

import asyncio

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.handling import CallHandler, handle
from tests.support.client_events import channel, event
from tests.support.scripted_call import Request, ScriptedCall

LEG = "arip-1"


@pytest.fixture
async def scripted() -> ScriptedCall:
    """A call with a leg that has entered the application."""
    scripted = ScriptedCall()
    scripted.answer("GET /channels/c", 200, channel("c"))
    scripted.send(event("StasisStart", args=[], channel=channel(LEG)))
    return scripted


async def hangs_up(call: Call) -> None:
    await call.hang_up()


async def leaves(call: Call) -> None:
    await call.leave("menu")


async def hangs_up_as_asterisk_is_asked(call: Call) -> None:
    await call.command("DELETE", f"/channels/{call.channel_id}")


@pytest.mark.parametrize("handler", [hangs_up, leaves, hangs_up_as_asterisk_is_asked])
async def test_legs_of_a_handler_that_ends_its_call_are_hung_up(
    scripted: ScriptedCall, handler: CallHandler
) -> None:
    """The answer may come before the event."""

    def end_later(_: Request) -> None:
        asyncio.get_running_loop().call_later(0.05, scripted.hang_up)

    scripted.on("DELETE /channels/c", end_later)
    scripted.on("POST /channels/c/continue", end_later)
    await handle(handler, scripted.call)

    assert scripted.names[-1] == f"DELETE /channels/{LEG}"
    assert scripted.names.count(f"DELETE /channels/{LEG}") == 1


async def test_call_that_its_handler_leaves_as_it_is_keeps_its_legs(scripted: ScriptedCall) -> None:
    async def returns(_: Call) -> None:
        pass

    await handle(returns, scripted.call)

    assert f"DELETE /channels/{LEG}" not in scripted.names
