"""The helpers of a call leave nothing behind, wherever the caller hangs up."""

import importlib.util
from pathlib import Path
from typing import Any

from ari_proxy import Call
from ari_proxy.testing import Phone, hang_up_anywhere

EXAMPLES = Path(__file__).parents[3] / "examples/python"
AGENTS = ["PJSIP/200", "PJSIP/201"]


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def connect(call: Call) -> None:
    """Connect the caller with the agent who answers first."""
    await call.answer()
    async with call.bridge() as bridge:
        agent = await call.dial(AGENTS, ring="ring")
        await bridge.add(call, agent)
        await call.play("sound:beep")
    await call.hang_up()


async def answer_second(phone: Phone) -> None:
    for agent, seconds in zip(AGENTS, (60, 3), strict=True):
        phone.plan(agent, answer=seconds)
    await phone.expect_hung_up(timeout=60)


async def test_dialling_and_bridging() -> None:
    assert await hang_up_anywhere(connect, answer_second) > 10


async def test_menu_of_the_example() -> None:
    async def choose(phone: Phone) -> None:
        await phone.expect_played("sound:agent-pass")
        phone.press("9999")
        await phone.expect_played("sound:pbx-invalid")
        phone.press("1234")
        await phone.expect_played("sound:vm-press")
        phone.press("2")
        await phone.expect_left()

    assert await hang_up_anywhere(example("ivr").ivr, choose) > 10


async def test_message_of_the_example() -> None:
    voicemail = example("voicemail")
    voicemail.MAX_SECONDS = 3

    async def leave(call: Call) -> None:
        await call.answer()
        await voicemail.leave_message(call, "100")
        await call.hang_up()

    async def speak(phone: Phone) -> None:
        await phone.expect_played("sound:vm-intro")
        await phone.expect_played("sound:vm-review", timeout=60)
        phone.press("1")
        await phone.expect_hung_up(timeout=60)

    assert await hang_up_anywhere(leave, speak) > 10
