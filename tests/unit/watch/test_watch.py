"""Copies as lines, ladders and diagrams."""

import json
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.tap import records
from ari_proxy.tap.records import Kind, TapRecord
from ari_proxy.watch import ladder
from ari_proxy.watch.filters import Filter
from ari_proxy.watch.formats import Format
from ari_proxy.watch.render import lines, steps
from ari_proxy.watch.render.descriptions import describe, is_failure
from tests.support.malformed import DEEPLY_NESTED

DIALOG = "s.0123456789abcdef"


def copy_of(kind: Kind, at: float = 0.0, dialog: str = DIALOG, **message: Any) -> TapRecord:
    encoded = records.encode(kind, at, "s", dialog, json.dumps(message).encode())
    return msgspec.json.decode(encoded, type=TapRecord)


def event(event_type: str, sequence: int = 1, **body: Any) -> TapRecord:
    application = body.pop("application", "demo")
    body = {"type": event_type, "application": application, **body}
    dialog = body.pop("dialog", DIALOG)
    ari_body = json.dumps(body)
    return copy_of("event", 0.001, dialog, type=event_type, sequence=sequence, ari_body=ari_body)


CALL = [
    copy_of("app_start", application="demo", channel_id="1.2"),
    event("StasisStart"),
    copy_of("command", 0.002, method="POST", url="/channels/1.2/answer"),
    copy_of("request", 0.002, method="POST", url="/channels/1.2/answer"),
    copy_of("response", 0.003, status_code=204, response_body=""),
    copy_of("unheard", 0.004, type="ChannelDtmfReceived", ari_body='{"digit":"5"}'),
    copy_of("end", 0.005),
]


@pytest.mark.parametrize(
    ("copy", "text"),
    [
        (CALL[0], "AppStart demo 1.2"),
        (event("StasisStart", 3), "3 StasisStart"),
        (event("ChannelDtmfReceived", 4, digit="7"), "4 ChannelDtmfReceived 7"),
        (
            event("PlaybackStarted", 5, playback={"media_uri": "tone:x"}),
            "5 PlaybackStarted tone:x",
        ),
        (event("ChannelVarset", 6, variable="A", value="b"), "6 ChannelVarset A=b"),
        (event("DeviceStateChanged", 0), "DeviceStateChanged"),
        (CALL[2], "POST /channels/1.2/answer"),
        (CALL[4], "204"),
        (
            copy_of("response", status_code=404, response_body='{"message":"Channel not found"}'),
            "404 Channel not found",
        ),
        (copy_of("skipped", count=7), "7 messages are not shown: too many per second"),
        (CALL[6], "the dialog has ended"),
        (copy_of("command", method="GET", url="/\x1b[2Jx\ny"), "GET /\ufffd[2Jx y"),
    ],
)
def test_copy_in_a_few_words(copy: TapRecord, text: str) -> None:
    assert describe(copy) == text


@given(
    st.sampled_from(["app_start", "event", "unheard", "command", "request", "response", "end"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_whatever_a_message_holds_it_can_be_drawn(kind: Kind, message: Any) -> None:
    encoded = json.dumps(message).encode()
    copy = msgspec.json.decode(records.encode(kind, 0, "s", DIALOG, encoded), type=TapRecord)
    assert lines.line(copy, coloured=False).isprintable()
    for form in Format:
        ladder.draw(form, DIALOG, [copy])
    is_failure(copy)


def test_ladder_in_a_terminal() -> None:
    drawn = ladder.draw(Format.TEXT, DIALOG, CALL).splitlines()
    shown = [" ".join(row.replace("─", " ").replace("┄", " ").split()) for row in drawn]
    assert shown == [
        f"dialog {DIALOG}",
        "Asterisk ingest application command",
        "0.000 │ │ AppStart demo 1.2 ▶│ │",
        "0.001 │ 1 StasisStart ▶│ │",
        "0.002 │ │ │ POST /channels/1.2/answer ▶│",
        "0.002 │◀ POST /channels/1.2/answer │",
        "0.003 │ │ │◀ 204 │",
        "0.004 │ ChannelDtmfReceived 5 ✗│ │",
        "0.005 │ the dialog has ended │",
    ]
    assert len({len(row) for row in drawn[2:]}) == 1


def test_ladder_is_drawn_as_it_goes_on() -> None:
    shown: list[str] = []
    show = ladder.live(DIALOG, shown.append)
    for copy in CALL:
        show(copy)
    assert "\n".join(shown) == ladder.draw(Format.TEXT, DIALOG, CALL)


def test_ladder_as_mermaid() -> None:
    drawn = ladder.draw(Format.MERMAID, DIALOG, [*CALL, event("X", 2, eventname="a;b#<c>")])
    assert drawn.splitlines()[3:] == [
        "  participant Asterisk",
        "  participant ingest",
        "  participant application",
        "  participant command",
        "  ingest->>application: AppStart demo 1.2",
        "  Asterisk->>application: 1 StasisStart",
        "  application->>command: POST /channels/1.2/answer",
        "  command->>Asterisk: POST /channels/1.2/answer",
        "  command-->>application: 204",
        "  Asterisk-xapplication: ChannelDtmfReceived 5",
        "  Note over Asterisk,command: the dialog has ended",
        "  Asterisk->>application: 2 X a#59;b#35;#lt;c#gt;",
    ]


def test_ladder_as_svg_is_xml_with_every_step() -> None:
    hostile = event("X", 2, eventname="<script>alert(1)</script>&")
    drawn = ladder.draw(Format.SVG, DIALOG, [*CALL, hostile])
    texts = [node.text or "" for node in ET.fromstring(drawn).iter() if node.text]  # noqa: S314  our own
    assert "1 StasisStart" in texts
    assert any("<script>" in text for text in texts)
    assert "<script>" not in drawn


def test_ladder_as_json_holds_the_messages() -> None:
    drawn = json.loads(ladder.draw(Format.JSON, DIALOG, CALL))
    assert drawn["dialog_id"] == DIALOG
    assert [step["kind"] for step in drawn["steps"]] == [copy.kind for copy in CALL]
    assert drawn["steps"][4]["message"]["status_code"] == 204


def test_ladder_of_nothing_has_a_head() -> None:
    assert ladder.draw(Format.TEXT, DIALOG, []).startswith(f"dialog {DIALOG}\n")


def test_record_is_read_back_and_other_dialogs_left_out() -> None:
    other = copy_of("event", dialog="s.other")
    record = [lines.as_json(copy) for copy in [*CALL, other]]
    found = list(ladder.read_capture(record, DIALOG))
    assert ladder.draw(Format.TEXT, DIALOG, found) == ladder.draw(Format.TEXT, DIALOG, CALL)


@pytest.mark.parametrize("line", ['{"kind":"x"}', DEEPLY_NESTED.decode()])
def test_line_that_is_no_copy_is_named(line: str) -> None:
    with pytest.raises(ladder.CaptureError, match=r"line 2 is not from.*"):
        list(ladder.read_capture([lines.as_json(CALL[0]), line], DIALOG))


def test_line_tells_time_dialog_and_message() -> None:
    assert lines.line(CALL[1], coloured=False) == f"00:00:00.001 {DIALOG} → 1 StasisStart"
    assert "\x1b[36m→ 1 StasisStart\x1b[0m" in lines.line(CALL[1], coloured=True)


@pytest.mark.parametrize("copy", CALL)
def test_failures_are_red(copy: TapRecord) -> None:
    refused = msgspec.Raw(b'{"status_code":409}')
    failing = msgspec.structs.replace(copy, kind="response", message=refused)
    assert "\x1b[31m" in lines.line(failing, coloured=True)


def test_arrow_goes_from_its_sender_to_whom_it_is_for() -> None:
    ways = [(step.source, step.target) for step in map(steps.step_of, CALL)]
    assert ways == [
        ("ingest", "application"),
        ("Asterisk", "application"),
        ("application", "command"),
        ("command", "Asterisk"),
        ("command", "application"),
        ("Asterisk", "application"),
        (None, None),
    ]


# What tail shows


def test_filter_without_wishes_lets_all_pass() -> None:
    assert all(map(Filter().passes, CALL))


def test_filter_by_type_takes_events_and_kinds() -> None:
    shown = [c for c in CALL if Filter(types=["StasisStart", "response"]).passes(c)]
    assert shown == [CALL[1], CALL[4]]


def test_filter_by_dialog() -> None:
    wanted = Filter(dialogs=[DIALOG])
    assert all(map(wanted.passes, CALL))
    assert not wanted.passes(event("StasisStart", dialog="s.other"))
    assert wanted.passes(copy_of("skipped", dialog="", count=1))


def test_filter_by_application_knows_commands_by_their_dialog() -> None:
    wanted = Filter(applications=["demo"])
    wanted.learn({"s.open": "demo", "s.foreign": "other"})
    assert all(map(wanted.passes, CALL))
    assert wanted.passes(copy_of("command", dialog="s.open"))
    assert not wanted.passes(copy_of("command", dialog="s.foreign"))
    assert not wanted.passes(copy_of("command", dialog="s.unknown"))
    assert not wanted.passes(event("StasisStart", dialog="s.x", application="other"))
    assert not wanted.passes(copy_of("response", dialog="s.x"))
