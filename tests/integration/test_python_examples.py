"""What is shown in Python serves calls: simulated, and of Asterisk 22."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.events import ChannelEnteredBridge, ChannelVarset, StasisEnd
from tests.support.memory_proxy import CallScene
from tests.support.python_examples import example

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("pressed", "choice"),
    [("ww1234ww2", "2"), ("ww9999wwwwww4711ww3", "3"), ("ww1#wwww2#wwww3#", None)],
    ids=["right", "wrong at first", "wrong"],
)
async def test_ivr_lets_callers_choose_who_know_a_pin(
    call_scene: CallScene, pressed: str, choice: str | None
) -> None:
    ivr = example("ivr")

    async def ask(call: Call) -> str | None:
        await call.answer()
        chosen: str | None = await ivr.ask(call)
        return chosen

    assert await call_scene.served(ask, f"dtmf-{pressed}") == choice


async def test_ivr_sends_the_caller_on(call_scene: CallScene) -> None:
    ivr = example("ivr")
    ivr.EXTENSIONS["1"] = "answer"

    async def serve(call: Call) -> str:
        left = asyncio.create_task(call.wait_for(StasisEnd, timeout=20))
        await ivr.ivr(call)
        return (await left).channel.dialplan.exten

    assert await call_scene.served(serve, "dtmf-ww1234ww1")


async def test_voicemail_takes_a_message_and_plays_it(call_scene: CallScene) -> None:
    voicemail = example("voicemail")
    mailbox = call_scene.application
    voicemail.MAX_SECONDS = 1

    async def leave(call: Call) -> list[str]:
        await call.answer()
        await voicemail.leave_message(call, mailbox)
        left: list[str] = await voicemail.messages(call, mailbox, "new")
        return left

    async def hear(call: Call) -> list[list[str]]:
        await voicemail.hear_messages(call, mailbox, "new")
        return [await voicemail.messages(call, mailbox, folder) for folder in ("new", "old")]

    async def delete(call: Call) -> list[str]:
        await voicemail.hear_messages(call, mailbox, "old")
        left: list[str] = await voicemail.messages(call, mailbox, "old")
        return left

    (left,) = await call_scene.served(leave, "talk")
    assert await call_scene.served(hear, "answer") == [[], [left.replace("/new/", "/old/")]]
    assert await call_scene.served(delete, "dtmf-ww7") == []


async def test_voicemail_lets_only_those_in_who_know_the_password(call_scene: CallScene) -> None:
    voicemail = example("voicemail")

    async def log_in(call: Call) -> str | None:
        mailbox: str | None = await voicemail.log_in(call)
        return mailbox

    assert await call_scene.served(log_in, "dtmf-ww100#ww1234#") == "100"
    voicemail.TRIES = 1
    assert await call_scene.served(log_in, "dtmf-ww100#ww12#") is None


async def test_voicemail_calls_out_and_goes_on_when_the_other_one_hangs_up(
    call_scene: CallScene,
) -> None:
    voicemail = example("voicemail")
    voicemail.OUTGOING = "Local/{number}@default/n"

    async def serve(call: Call) -> str:
        await call.answer()
        await voicemail.call_out(call, "busy")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(voicemail.call_out(call, "answer"))
            entered = await call.wait_for(
                ChannelEnteredBridge, where=lambda e: e.channel_id != call.channel_id, timeout=20
            )
            await call.ari.channels.hangup(entered.channel_id)
        return (await call.play("sound:vm-goodbye")).state

    assert await call_scene.served(serve) == "done"


async def test_documented_application_serves_a_call(
    call_scene: CallScene, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/applications.md").read_text()
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0].replace("app.run()", "")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  what the page shows

    async def ask(call: Call) -> str:
        left = asyncio.create_task(call.wait_for(ChannelVarset, timeout=20))
        await names["ask"](call)
        assert f"done with {call.id}\n" in capsys.readouterr().out
        return (await left).value

    assert await call_scene.served(ask, "dtmf-ww1234") == "1234"
