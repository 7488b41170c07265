"""One command: checked, named, registered, sent, and answered whatever happens."""

import asyncio
import json

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ari_proxy.ari.rest import MAX_BODY_BYTES
from ari_proxy.command.executor import MAX_ANSWER_BYTES
from ari_proxy.protocol import ids, topics
from ari_proxy.settings.command import CommandSettings
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.traces import Traces
from tests.support.event_path import SERVER
from tests.support.execution import DIALOG, error_of, execution
from tests.support.malformed import DEEPLY_NESTED
from tests.support.running import until
from tests.support.samples import samples


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_answer_of_asterisk_is_the_response_and_is_counted() -> None:
    async with execution() as it:
        it.path.asterisk.answer("GET", "/channels/c", 200, '{"id":"c"}')
        found = await it.do("get", "/channels/c")
        missing = await it.do("DELETE", "/channels/c")

    assert (found.unique_id, found.status_code, found.response_body) == ("1", 200, '{"id":"c"}')
    assert (missing.status_code, missing.response_body) == (204, "")
    assert it.requests == [("GET", "/ari/channels/c"), ("DELETE", "/ari/channels/c")]
    assert samples(it.path.metrics, table.REQUESTS) == {
        ("GET /channels/{channelId}", "200"): 1,
        ("DELETE /channels/{channelId}", "204"): 1,
    }


@pytest.mark.parametrize(
    ("method", "url", "body", "expected"),
    [
        ("PATCH", "/channels/c", "", (405, "method", False)),
        ("GET", "http://elsewhere/channels", "", (400, "url", False)),
        ("GET", "/channels/../asterisk", "", (400, "url", False)),
        ("POST", "/channels/c/answer", "x" * (MAX_BODY_BYTES + 1), (413, "body", False)),
        ("POST", "/channels/c/answer", "é" * (MAX_BODY_BYTES // 2 + 1), (413, "body", False)),
        ("PUT", "/asterisk/modules/x", "", (403, "policy", False)),
    ],
)
async def test_command_that_may_not_be_sent_is_answered_and_counted(
    method: str, url: str, body: str, expected: tuple[int, str, bool]
) -> None:
    async with execution() as it:
        response = await it.do(method, url, body)

    assert error_of(response) == expected
    assert it.requests == []
    assert samples(it.path.metrics, table.REJECTED) == {(expected[1],): 1}


async def test_new_object_gets_a_name_that_tells_its_dialog() -> None:
    async with execution() as it:
        await it.do("POST", "/channels/c/play?media=sound:x")

    ((_, target),) = it.requests
    name = target.partition("playbackId=")[2]
    assert ids.token_of_object(name) == ids.token_of_dialog(DIALOG)
    assert (
        it.path.dialogs.objects.of_kind("playback") == {}
    )  # Its name tells: ingest need not know.


async def test_ingest_knows_the_name_that_a_client_has_chosen_before_asterisk_does() -> None:
    async with execution() as it:
        it.path.asterisk.hold = asyncio.Event()
        executing = asyncio.create_task(it.do("POST", "/channels?endpoint=x&channelId=mine"))
        await until(lambda: it.requests)
        owner = it.path.dialog("mine").dialog_id
        it.path.asterisk.hold.set()
        await executing

    assert owner == DIALOG


async def test_name_is_released_when_asterisk_does_not_make_the_object() -> None:
    async with execution() as it:
        it.open(DIALOG, "c")
        it.path.asterisk.answer("POST", "/channels", 500, "{}")
        response = await it.do("POST", "/channels?endpoint=x&channelId=mine")
        await until(lambda: "mine" not in it.path.dialogs.objects.channels)

    assert response.status_code == 500


async def test_name_that_ingest_could_not_be_told_of_is_not_sent(*, is_durable: bool) -> None:
    async with execution(is_durable=is_durable) as it:
        await it.ingest_ends()
        response = await it.do("POST", "/channels?endpoint=x&channelId=mine")

    assert error_of(response) == (503, "registration", False)
    assert it.requests == []


async def test_command_that_creates_nothing_needs_no_ingest() -> None:
    async with execution() as it:
        await it.ingest_ends()
        response = await it.do("POST", "/channels/c/answer")

    assert response.status_code == 204


@pytest.mark.parametrize("answer", [b"no JSON", b"\xff", DEEPLY_NESTED])
async def test_name_is_not_sent_when_the_answer_to_its_registration_is_none(answer: bytes) -> None:
    async with execution() as it:
        await it.ingest_answers(answer)
        response = await it.do("POST", "/channels?endpoint=x&channelId=mine")

    assert error_of(response) == (503, "registration", False)
    assert it.requests == []


async def test_name_that_ingest_refuses_is_not_sent() -> None:
    async with execution() as it:
        elsewhere = ids.DialogId("other.0123456789abcdef")
        response = await it.do("POST", "/channels?endpoint=x&channelId=mine", dialog=elsewhere)

    assert error_of(response) == (400, "registration", False)
    assert it.requests == []


async def test_broken_connection_is_answered_with_what_is_known() -> None:
    async with execution() as it:
        it.path.asterisk.broken.add("/channels/c/answer")
        response = await it.do("POST", "/channels/c/answer")

    assert error_of(response) == (502, "unreachable", True)
    assert samples(it.path.metrics, table.REQUEST_FAILURES)["unreachable",] == 1
    assert len(it.requests) == 1  # Sent once, whatever became of it.


async def test_answer_that_the_bus_does_not_take_is_told_as_such() -> None:
    async with execution() as it:
        it.path.asterisk.large["/recordings/stored"] = (2 * MAX_ANSWER_BYTES, True)
        response = await it.do("GET", "/recordings/stored")

    assert error_of(response) == (502, "too_large", True)


async def test_command_of_a_server_that_makes_a_channel_begins_a_dialog() -> None:
    async with execution() as it:
        response = await it.do_for_server("POST", "/channels?endpoint=x&app=demo")
        dialog = it.path.dialogs.dialogs[response.dialog_id]

    assert (dialog.application, dialog.announce) == ("demo", True)
    ((_, target),) = it.requests
    assert ids.token_of_object(target.partition("channelId=")[2]) == dialog.token


async def test_command_of_a_server_may_choose_the_dialog_and_that_is_not_announced() -> None:
    async with execution() as it:
        response = await it.do_for_server("POST", "/channels?endpoint=x&app=demo", dialog_id=DIALOG)

    assert response.dialog_id == DIALOG
    assert not it.path.dialogs.dialogs[DIALOG].announce


async def test_command_of_a_server_that_makes_nothing_begins_no_dialog() -> None:
    async with execution() as it:
        response = await it.do_for_server("GET", "/asterisk/info")

    assert (response.status_code, response.dialog_id) == (200, "")
    assert len(it.path.dialogs) == 0


async def test_recording_is_released_when_it_is_deleted_where_that_matters() -> None:
    async with execution(CommandSettings(stored_recordings="own")) as it:
        it.open(DIALOG, "c")
        await it.do("POST", "/channels/c/record?name=mine&format=wav")
        made = it.path.dialogs.objects.owns(DIALOG, "recording", "mine")
        it.path.asterisk.answer("DELETE", "/recordings/stored/mine", 404, "{}")
        await it.do("DELETE", "/recordings/stored/mine")
        kept = it.path.dialogs.objects.owns(DIALOG, "recording", "mine")
        await it.do("DELETE", "/recordings/stored/mine")

    assert (made, kept) == (True, True)
    assert not it.path.dialogs.objects.owns(DIALOG, "recording", "mine")


async def test_executed_command_can_be_cancelled() -> None:
    async with execution() as it:
        it.path.asterisk.hold = asyncio.Event()
        executing = asyncio.create_task(it.do("GET", "/channels/c"))
        await until(lambda: it.requests)
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
        it.path.asterisk.hold.set()

        assert it.path.rest.in_flight == 0


async def test_request_has_a_span_and_who_watches_sees_it() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    traces = Traces(provider.get_tracer("test"), bus="NATS", server_id=SERVER)
    async with execution(traces=traces) as it:
        copies = await it.path.application.listen(topics.tap_records(SERVER))
        await it.path.watch()
        it.path.asterisk.answer("POST", "/channels/c/answer", 500, "{}")
        await it.do("POST", "/channels/c/answer")
        await until(lambda: copies)

    (span,) = spans.get_finished_spans()
    assert span.name == "POST /channels/{channelId}/answer"
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 500
    copy = json.loads(copies[0].payload)
    assert (copy["kind"], copy["dialog_id"]) == ("request", DIALOG)
