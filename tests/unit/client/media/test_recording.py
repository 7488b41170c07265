"""Recording a call."""

import asyncio
from contextlib import suppress

import pytest

from ari_proxy.client.errors import CallEnded, Conflict, NotRecorded, OutcomeUnknown
from ari_proxy.client.media.recording import Recording
from ari_proxy.client.state_reader import READ_ATTEMPTS
from tests.support.client_events import event, recording
from tests.support.scripted_call import ScriptedCall

RECORD = "POST /channels/c/record"
GONE = {"message": "Recording not found"}


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


async def test_record_returns_when_the_recording_has_ended(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        recorded = tasks.create_task(
            scripted.call.record("vm/1", beep=True, end="#", max_silence=4, max_seconds=120)
        )
        request = await scripted.requested(RECORD)
        scripted.send(recording("RecordingStarted", "vm/1", "recording"))
        await asyncio.sleep(0)
        assert not recorded.done()
        scripted.send(recording("RecordingFinished", "vm/1", "done", duration=3))
    assert request.parameters == {
        "name": "vm/1",
        "format": "wav",
        "maxDurationSeconds": "120",
        "maxSilenceSeconds": "4",
        "ifExists": "fail",
        "beep": "true",
        "terminateOn": "#",
    }
    message = recorded.result()
    assert (message.name, message.seconds, message.state) == ("vm/1", 3, "done")

    await message.delete()

    assert scripted.names[-1] == "DELETE /recordings/stored/vm%2F1"


async def test_end_of_the_call_that_ends_the_recording_is_no_error(
    scripted: ScriptedCall,
) -> None:
    def end(_: object) -> None:
        scripted.send(recording("RecordingFinished", "r", "done", duration=9))
        scripted.hang_up()

    scripted.on(RECORD, end)

    assert (await scripted.call.record("r", end="")).seconds == 9
    assert scripted.requests[0].parameters["terminateOn"] == "none"


async def test_end_of_the_call_alone_is_an_error(scripted: ScriptedCall) -> None:
    scripted.on(RECORD, lambda _: scripted.hang_up())
    with pytest.raises(CallEnded):
        await scripted.call.record("r")


async def test_failed_recording_is_an_error(scripted: ScriptedCall) -> None:
    scripted.on(
        RECORD,
        lambda _: scripted.send(recording("RecordingFailed", "r", "failed", cause="disk is full")),
    )
    with pytest.raises(NotRecorded, match="'r' was not made: disk is full"):
        await scripted.call.record("r")


async def test_name_that_is_taken_is_an_error_and_nothing_is_stopped(
    scripted: ScriptedCall,
) -> None:
    scripted.answer(RECORD, 409, {"message": "Recording 'r' already exists"})
    with pytest.raises(Conflict):
        await scripted.call.record("r")
    assert scripted.names == [RECORD]


def refuse_once(scripted: ScriptedCall) -> None:
    """Refuse the first request of a recording as one whose name is taken, as Asterisk 22 does."""
    taken = {"message": "Recording 'vm/1' already exists and can not be overwritten"}
    queued = {"name": "vm/1", "format": "wav", "target_uri": "channel:c", "state": "queued"}
    answers = iter([(409, taken), (201, queued)])
    scripted.answer_with(RECORD, lambda _: next(answers))


async def test_name_in_a_folder_that_is_refused_though_it_is_free_is_requested_again(
    scripted: ScriptedCall,
) -> None:
    refuse_once(scripted)
    scripted.answer("GET /recordings", 404, GONE)

    await scripted.call.start_recording("vm/1")

    assert scripted.names == [
        RECORD,
        "GET /recordings/live/vm%2F1",
        "GET /recordings/stored/vm%2F1",
        RECORD,
    ]


@pytest.mark.parametrize(
    ("where", "status"), [("live", 200), ("stored", 200), ("stored", 500)], ids=str
)
async def test_name_in_a_folder_that_is_taken_is_an_error(
    scripted: ScriptedCall, where: str, status: int
) -> None:
    refuse_once(scripted)
    found = {"name": "vm/1", "format": "wav", "state": "recording", "target_uri": "channel:c"}
    scripted.answer("GET /recordings", 404, GONE)
    scripted.answer(f"GET /recordings/{where}", status, found)

    with pytest.raises(Conflict):
        await scripted.call.start_recording("vm/1")

    assert scripted.names.count(RECORD) == 1


async def test_recording_that_was_started_is_stopped(scripted: ScriptedCall) -> None:
    started = await scripted.call.start_recording("r")
    assert repr(started) == "Recording('r', state='queued')"
    scripted.on(
        "POST /recordings/live/r/stop",
        lambda _: scripted.send(recording("RecordingFinished", "r", "done", duration=1)),
    )

    await started.stop()

    assert (await started).seconds == 1


@pytest.mark.parametrize(("stored", "is_kept"), [(200, True), (404, False)])
@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_recording_that_is_over_is_looked_for_in_the_store(
    scripted: ScriptedCall, stored: int, is_kept: bool, how: str
) -> None:
    started = await scripted.call.start_recording("r")
    scripted.answer("POST /recordings/live/r/stop", 404, GONE)
    scripted.answer("DELETE /recordings/live/r", 404, GONE)
    body = {"name": "r", "format": "wav"} if stored == 200 else GONE
    scripted.answer("GET /recordings/stored/r", stored, body)

    await (started.stop() if how == "stop" else started.cancel())

    assert (started.is_over, started.state == "done") == (True, is_kept)


async def test_cancelled_recording_is_not_made(scripted: ScriptedCall) -> None:
    """Though Asterisk says that it is done."""
    started = await scripted.call.start_recording("r")
    scripted.on(
        "DELETE /recordings/live/r",
        lambda _: scripted.send(recording("RecordingFinished", "r", "done", duration=1)),
    )
    await started.cancel()
    with pytest.raises(NotRecorded, match="it is canceled"):
        await started
    assert scripted.names[-1] == "DELETE /recordings/live/r"


async def test_state_is_read_again_after_a_gap(scripted: ScriptedCall) -> None:
    scripted.answer("GET /recordings/live/r", 404, GONE)
    scripted.answer("GET /recordings/stored/r", 200, {"name": "r", "format": "wav"})
    started = await scripted.call.start_recording("r")
    scripted.send(event("ProxyGap", reason="websocket_lost"))

    assert (await started).state == "done"
    assert started.seconds >= 0


async def test_state_is_read_when_nothing_has_come_for_long(scripted: ScriptedCall) -> None:
    live = {"name": "r", "format": "wav", "target_uri": "channel:c", "state": "recording"}
    scripted.answer("GET /recordings/live/r", 200, live)
    quiet = Recording(scripted.call, "r", read_seconds=0.001)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(quiet.finished())
        await scripted.requested("GET /recordings/live/r")
        scripted.send(recording("RecordingFinished", "r", "done", duration=2))
    assert waiting.result().seconds == 2


async def test_state_that_can_not_be_read_is_asked_for_a_few_times(scripted: ScriptedCall) -> None:
    refusal = {"message": "no answer", "error": "ari_proxy.timeout", "sent": True}
    scripted.answer("GET /recordings/live/r", 504, refusal)
    started = Recording(scripted.call, "r", retry_seconds=0.001)
    scripted.send(event("ProxyGap", reason="websocket_lost"))

    with pytest.raises(OutcomeUnknown):
        await started

    assert len([name for name in scripted.names if name.startswith("GET")]) == READ_ATTEMPTS


@pytest.mark.parametrize("is_answered", [True, False])
async def test_cancelled_wait_stops_the_recording_and_keeps_it(
    scripted: ScriptedCall, is_answered: bool
) -> None:
    if not is_answered:
        scripted.ignore(RECORD)
    recorded = asyncio.ensure_future(scripted.call.record("r"))
    await scripted.requested(RECORD)
    for _ in range(5 if is_answered else 0):
        await asyncio.sleep(0)

    recorded.cancel()
    with suppress(asyncio.CancelledError):
        await recorded

    assert scripted.names[1:] == ["POST /recordings/live/r/stop"]
    assert not scripted.call._listeners._listeners
