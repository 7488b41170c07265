"""The set-up of a dialog: who gets the AppStart and the first event, and what if nobody comes."""

import asyncio
import json

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from ari_proxy.bus.base import Message
from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.handover.messages import DialogRecord, HeldRecord, Record
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.traces import Traces
from tests.support.durable import queues_of
from tests.support.event_path import SERVER, Scene, scene
from tests.support.held_bus import Hold
from tests.support.running import until
from tests.support.samples import samples

DIALOG = DialogId(f"{SERVER}.0123456789abcdef")
EVENTS = topics.events(DIALOG)


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def requests(path: Scene) -> list[tuple[str, str]]:
    return [(request.method, request.target) for request in path.asterisk.requests]


async def test_app_start_waits_for_an_application_and_tells_the_dialog_of_the_call(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable) as path:
        path.push("StasisStart", "c")
        await until(lambda: path.asterisk.marks)
        starts = await path.application.listen("demo")
        await until(lambda: starts)

    (start,) = path.application.bodies("demo")
    dialog = path.dialog("c")
    assert start["dialog_id"] == dialog.dialog_id
    assert (start["application"], start["server_id"], start["channel_id"]) == ("demo", SERVER, "c")
    assert start["timestamp"]


async def test_channel_carries_the_dialog_before_anybody_hears_of_it() -> None:
    """Who takes over from a dead ingest finds it there, and does not announce it again."""
    async with scene() as path:
        marked_before: list[int] = []
        await path.application.bus.subscribe(
            "demo", lambda _: marked_before.append(len(path.asterisk.marks))
        )
        path.push("StasisStart", "c")
        await until(lambda: marked_before)

    assert marked_before == [1]


async def test_dialog_that_the_client_has_chosen_is_not_announced(*, is_durable: bool) -> None:
    async with scene(is_durable=is_durable) as path:
        starts = await path.application.listen("demo")
        await path.application.listen(EVENTS)
        dialog = path.dialogs.open(DIALOG, "demo", "", announce=False, now=0)
        path.dialogs.adopt(dialog, {"c": False})
        path.push("StasisStart", "c")
        await until(lambda: path.application.types(EVENTS) == ["StasisStart"])

    assert starts == []


async def test_events_wait_in_the_queues_where_the_bus_keeps_them() -> None:
    async with scene(is_durable=True) as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        path.push("ChannelHold", "c")
        await path.bus.flush(timeout_seconds=5)
        unheard = await queues_of(path.bus).backlog(dialog.topic)
        await path.application.listen(dialog.topic)
        await until(lambda: len(path.application.types(dialog.topic)) == 2)

    assert unheard == 2
    assert path.application.types(dialog.topic) == ["StasisStart", "ChannelHold"]


@pytest.mark.parametrize(
    ("no_listener", "expected"),
    [
        (
            "continue",
            [
                ("POST", "/ari/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION"),
                ("POST", "/ari/channels/c/continue"),
            ],
        ),
        ("hangup", [("DELETE", "/ari/channels/c")]),
    ],
)
async def test_call_that_no_application_wants_is_given_up(
    no_listener: str, expected: list[tuple[str, str]], *, is_durable: bool
) -> None:
    async with scene(no_listener=no_listener, listener_seconds=0.05, is_durable=is_durable) as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: len(requests(path)) == len(expected))
        late = await path.application.listen("demo")
        path.push("ChannelHold", "c")
        await path.bus.flush(timeout_seconds=5)

    assert requests(path) == expected
    assert late == []
    assert dialog.is_abandoned
    assert samples(path.metrics, table.APP_STARTS) == {("demo", "no_listener"): 1}


async def test_dialplan_is_told_that_the_bus_was_away() -> None:
    async with scene(no_listener="continue", listener_seconds=0.05) as path:
        path.broker.stop()
        await until(lambda: not path.bus.is_connected)
        path.push("StasisStart", "c")
        await until(lambda: len(requests(path)) == 2)

    assert requests(path)[0][1].endswith("value=BUS_UNAVAILABLE")


async def test_set_up_goes_on_when_the_bus_is_back(*, is_durable: bool) -> None:
    async with scene(is_durable=is_durable) as path:
        path.broker.stop()
        await until(lambda: not path.bus.is_connected)
        path.push("StasisStart", "c")
        topic = path.dialog("c").topic
        await path.application.listen("demo")
        await path.application.listen(topic)
        path.broker.start()
        await until(lambda: path.application.types(topic) == ["StasisStart"])

    assert len(path.application.messages["demo"]) == 1


@pytest.mark.parametrize("paused", ["pause", "permit"])
async def test_attempts_end_when_another_ingest_goes_on_with_the_dialog(
    paused: str, *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable) as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: path.asterisk.marks)
        if paused == "pause":
            path.setup.pause()
        else:
            path.permit.is_given = False
        assert await path.background.finish(10) == 0
        starts = await path.application.listen("demo")
        await path.bus.flush(timeout_seconds=5)

    assert starts == []
    assert (dialog.delivery, len(dialog.held)) == (DeliveryPhase.OFFERED, 1)


async def test_set_up_goes_on_where_it_has_stopped(*, is_durable: bool) -> None:
    """It may be this ingest's turn again before anybody else has begun."""
    async with scene(is_durable=is_durable) as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        path.permit.is_given = False
        assert await path.background.finish(10) == 0
        path.permit.is_given = True
        await path.application.listen("demo")
        await path.application.listen(dialog.topic)
        path.push("ChannelHold", "c")
        await until(lambda: len(path.application.types(dialog.topic)) == 2)

    assert path.application.types(dialog.topic) == ["StasisStart", "ChannelHold"]
    assert len(path.application.messages["demo"]) == 1


async def test_set_up_that_is_cancelled_gives_nobody_up() -> None:
    async with scene(no_listener="hangup") as path:
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: path.asterisk.marks)
        assert await path.background.finish(0) == 1
        assert await path.background.finish(10) == 0

    assert requests(path) == []
    assert dialog.delivery is DeliveryPhase.OFFERED


async def adopted(path: Scene) -> None:
    """A dialog that a dead ingest has begun."""
    dialog = path.dialogs.open(DIALOG, "demo", "c", announce=True, now=0)
    path.dialogs.adopt(dialog, {"c": True})
    start = path.stream.envelope("StasisStart", "{}", DIALOG, 1001)
    dialog.adopt(1001, start)
    path.stream.notify(dialog, proxy_events.GAP, Gap("ingest_restarted").event("demo", 1.0))
    path.setup.begin(dialog)


async def test_adopted_dialog_whose_application_does_not_show_up_is_announced_with_its_start(
    *, is_durable: bool
) -> None:
    async with scene(is_durable=is_durable, resume_seconds=0.02) as path:
        starts = await path.application.listen("demo")
        await adopted(path)
        await until(lambda: starts)
        await path.application.listen(EVENTS)
        await until(lambda: len(path.application.types(EVENTS)) == 2)

    assert path.application.types(EVENTS) == ["StasisStart", proxy_events.GAP]
    assert [event["sequence"] for event in path.application.bodies(EVENTS)] == [1001, 1002]
    assert len(starts) == 1


async def test_application_of_an_adopted_dialog_may_come_late_where_the_bus_was_away() -> None:
    async with scene(resume_seconds=0.1) as path:
        starts = await path.application.listen("demo")
        await adopted(path)
        path.broker.stop()
        await asyncio.sleep(0.2)  # Longer than it has with a bus.
        await path.application.listen(EVENTS)
        path.broker.start()
        await until(lambda: path.application.types(EVENTS))

    assert path.application.types(EVENTS) == [proxy_events.GAP]
    assert starts == []


async def test_successor_finds_the_application_and_the_channel_with_the_queues() -> None:
    async with scene(is_durable=True) as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        await queues_of(path.bus).release()
        heir = path.connection(registry=f"dialogs_{SERVER}")
        running = asyncio.create_task(heir.run())
        await heir.wait_connected()
        async with asyncio.timeout(10):
            found = await anext(queues_of(heir).orphans())
        running.cancel()

    assert found.topics == topics.of_dialog(dialog.dialog_id)
    assert json.loads(found.note) == {"application": "demo", "channel_id": "c"}


# What people see of it: counts, copies, and the trace that the application gets


def traces_into(exporter: InMemorySpanExporter) -> Traces:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traces(provider.get_tracer("test"), bus="NATS", server_id=SERVER)


async def test_dialog_that_an_application_has_taken_is_counted() -> None:
    async with scene() as path:
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: dialog.delivery is DeliveryPhase.ACCEPTED)
        await path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)

    assert samples(path.metrics, table.APP_STARTS) == {("demo", "accepted"): 1}


async def test_empty_dialog_to_which_nobody_comes_is_no_call_that_was_lost() -> None:
    async with scene(no_listener="continue", listener_seconds=0.02) as path:
        dialog = path.dialogs.open(DIALOG, "demo", "", announce=False, now=0)
        path.stream.notify(dialog, proxy_events.GAP, "{}")
        path.setup.begin(dialog)
        await until(lambda: dialog.is_abandoned)

    assert samples(path.metrics, table.APP_STARTS) == {}
    assert path.asterisk.requests == []


async def test_who_watches_sees_the_app_start_before_the_events() -> None:
    async with scene() as path:
        copies = await path.application.listen(topics.tap_records(SERVER))
        await path.watch()
        await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: path.application.messages["demo"])
        await path.application.listen(dialog.topic)
        await until(lambda: len(copies) == 2)

    kinds = [json.loads(copy.payload)["kind"] for copy in copies]
    assert kinds == ["app_start", "event"]


async def test_application_gets_the_trace_that_its_announcement_has_begun() -> None:
    spans = InMemorySpanExporter()
    async with scene(traces=traces_into(spans)) as path:
        starts: list[Message] = await path.application.listen("demo")
        path.push("StasisStart", "c")
        dialog = path.dialog("c")
        await until(lambda: starts)
        await path.application.listen(dialog.topic)
        await until(spans.get_finished_spans)

    (span,) = spans.get_finished_spans()
    assert span.context is not None
    trace = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert starts[0].traceparent.rpartition("-")[0] == f"00-{trace}"
    assert json.loads(starts[0].payload)["traceparent"] == starts[0].traceparent
    assert span.name == "AppStart demo"
    assert span.attributes is not None
    assert span.attributes["ari_proxy.dialog_id"] == dialog.dialog_id
    assert span.attributes["asterisk.channel_id"] == "c"
    assert span.status.status_code == StatusCode.UNSET


async def test_trace_of_a_call_that_nobody_took_has_failed() -> None:
    spans = InMemorySpanExporter()
    async with scene(
        traces=traces_into(spans), no_listener="continue", listener_seconds=0.02
    ) as path:
        path.push("StasisStart", "c")
        await until(spans.get_finished_spans)

    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "no_listener"
    assert span.status.status_code == StatusCode.ERROR


def handed_over(*, is_open: bool) -> DialogRecord:
    """A dialog that the client has chosen, as another ingest has it after 57 events."""
    return DialogRecord(
        dialog_id=DIALOG,
        application="demo",
        channel_id="c",
        sequence=57,
        channels={"c": True},
        released=(),
        objects={"channel": ["c"]},
        announce=False,
        is_announced=False,
        is_abandoned=False,
        is_ended=False,
        is_open=is_open,
    )


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "held"])
async def test_dialog_that_is_handed_over_during_its_set_up_is_resumed(
    *, is_open: bool, is_durable: bool
) -> None:
    """An executor has registered its channel here, and the hand-over took longer than events wait.

    The set-up that began here ended an open dialog by the no-listener policy.
    """
    async with scene(no_listener="hangup", is_durable=is_durable) as path:
        await path.application.listen(EVENTS)
        binding = {"dialog_id": DIALOG, "kind": "channel", "object_id": "c"}
        path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
        path.push("ChannelHold", "c")
        dialog = path.dialog("c")
        held_by_the_other = path.stream.envelope("ChannelDtmfReceived", "{}", DIALOG, 57)
        records: list[Record] = [
            handed_over(is_open=is_open),
            HeldRecord(held_by_the_other.decode()),
        ]
        for found, held in messages.load(path.dialogs, records, 0).items():
            path.setup.resume(found, held)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        path.push("ChannelUnhold", "c")
        await until(lambda: "ChannelUnhold" in path.application.types(EVENTS))
        await path.background.finish(5)

    events = [(event["type"], event["sequence"]) for event in path.application.bodies(EVENTS)]
    former = [] if is_open else [("ChannelDtmfReceived", 57)]
    assert events == [*former, ("ChannelHold", 58), ("ChannelUnhold", 59)]
    assert dialog.delivery is DeliveryPhase.OPEN
    assert requests(path) == []


async def test_set_up_that_waits_for_a_listener_ends_when_its_dialog_is_handed_over() -> None:
    async with scene() as path:
        binding = {"dialog_id": DIALOG, "kind": "channel", "object_id": "c"}
        path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
        path.push("ChannelHold", "c")
        for _ in range(10):  # It has found nobody and tries again.
            await asyncio.sleep(0)
        for found, held in messages.load(path.dialogs, [handed_over(is_open=True)], 0).items():
            path.setup.resume(found, held)
        unfinished = await path.background.finish(5)

    assert unfinished == 0
    assert path.dialogs.dialogs[DIALOG].delivery is DeliveryPhase.OPEN


@pytest.mark.parametrize("no_listener", ["continue", "hangup"])
async def test_policy_ends_when_its_dialog_is_handed_over_with_an_application(
    no_listener: str,
) -> None:
    """The set-up here has given the dialog up, and Asterisk is slow."""
    async with scene(no_listener=no_listener, listener_seconds=0.02) as path:
        binding = {"dialog_id": DIALOG, "kind": "channel", "object_id": "c"}
        path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
        dialog = path.dialogs.dialogs[DIALOG]
        path.dialogs.adopt(dialog, {"c": True, "d": True})
        answers = path.asterisk.hold = asyncio.Event()
        path.push("ChannelHold", "c")
        await until(lambda: path.asterisk.requests)
        assert dialog.is_abandoned
        for found, held in messages.load(path.dialogs, [handed_over(is_open=True)], 0).items():
            path.setup.resume(found, held)
        unfinished = await path.background.finish(5)  # It does not wait for the answer.
        answers.set()

    assert unfinished == 0
    assert len(requests(path)) == 1
    assert dialog.delivery is DeliveryPhase.OPEN


async def test_policy_goes_on_when_its_dialog_is_handed_over_without_an_application() -> None:
    """The former ingest may have had no time to apply it."""
    async with scene(no_listener="hangup", listener_seconds=0.02) as path:
        binding = {"dialog_id": DIALOG, "kind": "channel", "object_id": "c"}
        path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
        path.dialogs.adopt(path.dialogs.dialogs[DIALOG], {"c": True, "d": True})
        answers = path.asterisk.hold = asyncio.Event()
        path.push("ChannelHold", "c")
        await until(lambda: path.asterisk.requests)
        record = msgspec.structs.replace(handed_over(is_open=False), is_abandoned=True)
        for found, held in messages.load(path.dialogs, [record], 0).items():
            path.setup.resume(found, held)
        answers.set()
        await path.background.finish(5)

    assert requests(path) == [("DELETE", "/ari/channels/c"), ("DELETE", "/ari/channels/d")]


async def first_event_under_way(path: Scene) -> asyncio.Event:
    """Begin the set-up of a client's own dialog; return what lets the outcome of its probe come."""
    first_event = Hold("publish_to_listener", EVENTS)
    first_event.on(path.bus)
    binding = {"dialog_id": DIALOG, "kind": "channel", "object_id": "c"}
    path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
    path.push("ChannelHold", "c")
    async with asyncio.timeout(10):
        await first_event.reached.wait()
    path.push("ChannelUnhold", "c")
    return first_event.released


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "held"])
async def test_first_event_that_is_under_way_at_a_hand_over_comes_once(*, is_open: bool) -> None:
    async with scene(no_listener="hangup") as path:
        await path.watch()
        copies = await path.application.listen(topics.tap_records(SERVER))
        await path.application.listen(EVENTS)
        outcome = await first_event_under_way(path)
        stopping = asyncio.create_task(path.setup.stop([DIALOG]))
        await asyncio.sleep(0)
        path.push("ChannelTalkingStarted", "c")
        outcome.set()
        await stopping
        for found, held in messages.load(path.dialogs, [handed_over(is_open=is_open)], 0).items():
            path.setup.resume(found, held)
        await until(lambda: len(path.application.bodies(EVENTS)) >= 3)
        path.push("ChannelTalkingFinished", "c")
        await until(lambda: len(copies) == 4)
        await path.background.finish(5)

    events = [(event["type"], event["sequence"]) for event in path.application.bodies(EVENTS)]
    assert events == [
        ("ChannelHold", 1),
        ("ChannelUnhold", 58),
        ("ChannelTalkingStarted", 59),
        ("ChannelTalkingFinished", 60),
    ]
    assert path.dialogs.dialogs[DIALOG].delivery is DeliveryPhase.OPEN


async def test_first_event_that_nobody_heard_before_a_hand_over_comes_behind_it() -> None:
    async with scene(no_listener="hangup") as path:
        outcome = await first_event_under_way(path)
        await path.application.listen(EVENTS)
        stopping = asyncio.create_task(path.setup.stop([DIALOG]))
        await asyncio.sleep(0)
        outcome.set()
        await stopping
        for found, held in messages.load(path.dialogs, [handed_over(is_open=True)], 0).items():
            path.setup.resume(found, held)
        await until(lambda: len(path.application.bodies(EVENTS)) == 2)
        await path.background.finish(5)

    events = [(event["type"], event["sequence"]) for event in path.application.bodies(EVENTS)]
    assert events == [("ChannelHold", 58), ("ChannelUnhold", 59)]


async def test_hand_over_does_not_wait_for_the_outcome_of_a_first_event_without_end() -> None:
    async with scene(no_listener="hangup") as path:
        await path.application.listen(EVENTS)
        await first_event_under_way(path)
        async with asyncio.timeout(10):
            await path.setup.stop([DIALOG])
        for found, held in messages.load(path.dialogs, [handed_over(is_open=True)], 0).items():
            path.setup.resume(found, held)
        await until(lambda: "ChannelUnhold" in path.application.types(EVENTS))
        unfinished = await path.background.finish(5)

    assert unfinished == 0
    assert path.dialogs.dialogs[DIALOG].delivery is DeliveryPhase.OPEN


async def test_no_set_up_begins_between_its_stop_and_the_record(*, is_durable: bool) -> None:
    async with scene(is_durable=is_durable, no_listener="hangup") as path:
        await path.application.listen(EVENTS)
        await path.setup.stop([DIALOG])
        binding = {"dialog_id": DIALOG, "kind": "channel", "object_id": "c"}
        path.registrations.on_binding(Message("bindings", json.dumps(binding).encode()))
        path.push("ChannelHold", "c")
        assert await path.background.finish(5) == 0
        assert path.application.types(EVENTS) == []
        for found, held in messages.load(path.dialogs, [handed_over(is_open=False)], 0).items():
            path.setup.resume(found, held)
        await until(lambda: path.application.types(EVENTS))

    assert path.application.bodies(EVENTS)[0]["sequence"] == 58
