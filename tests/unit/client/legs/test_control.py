"""What is done to a channel as a whole."""

import asyncio

import pytest

from ari_proxy.client.ari.requests import ReportedVariable, VariableValue
from ari_proxy.client.errors import CallEnded, Conflict
from tests.support.scripted_call import ScriptedCall


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


async def test_answer_hold_and_hang_up(scripted: ScriptedCall) -> None:
    call = scripted.call
    await call.answer()
    await call.hold()
    await call.unhold()
    await call.redirect("PJSIP/200")
    await call.hang_up("busy")
    assert [(one.name, one.parameters) for one in scripted.requests] == [
        ("POST /channels/c/answer", {}),
        ("POST /channels/c/hold", {}),
        ("DELETE /channels/c/hold", {}),
        ("POST /channels/c/redirect", {"endpoint": "PJSIP/200"}),
        ("DELETE /channels/c", {"reason": "busy"}),
    ]


async def test_channel_that_has_ended_is_hung_up(scripted: ScriptedCall) -> None:
    scripted.answer("DELETE /channels/c", 404, {"message": "Channel not found"})
    await scripted.call.hang_up()
    scripted.hang_up()
    with pytest.raises(CallEnded):
        await scripted.call.answer()


async def test_leave_sets_variables_and_goes_on_in_the_dialplan(scripted: ScriptedCall) -> None:
    variables: dict[str, VariableValue] = {"LANG": "de", "WHO": ReportedVariable("ann")}

    await scripted.call.leave("menu", "s", 1, variables=variables)

    assert [(one.name, one.parameters) for one in scripted.requests] == [
        ("POST /channels/c/variable", {"variable": "LANG", "value": "de"}),
        ("POST /channels/c/variable", {"variable": "WHO", "value": "ann"}),
        ("POST /channels/c/continue", {"context": "menu", "extension": "s", "priority": "1"}),
    ]


async def test_music_lasts_for_a_block(scripted: ScriptedCall) -> None:
    async with scripted.call.music("jazz"):
        assert scripted.requests[0].parameters == {"mohClass": "jazz"}
    assert scripted.names == ["POST /channels/c/moh", "DELETE /channels/c/moh"]


async def test_music_ends_with_the_call(scripted: ScriptedCall) -> None:
    async with scripted.call.music():
        scripted.hang_up()
    assert scripted.names == ["POST /channels/c/moh"]


async def test_music_ends_when_its_beginning_is_cancelled(scripted: ScriptedCall) -> None:
    scripted.ignore("POST /channels/c/moh")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), scripted.call.music():
            pass

    assert scripted.names[-1] == "DELETE /channels/c/moh"


async def test_refusal_of_an_open_call_is_an_error(scripted: ScriptedCall) -> None:
    scripted.answer("POST /channels/c/hold", 409, {"message": "Channel not in Stasis"})
    with pytest.raises(Conflict):
        await scripted.call.hold()
