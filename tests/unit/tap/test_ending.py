"""Why a call ended, in one sentence."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ari_proxy.tap import records
from ari_proxy.tap.ending import ROWS, Reason, ending_of
from ari_proxy.tap.facts_reader import facts_of
from ari_proxy.tap.records import Kind, TapRecord
from tests.support.golden import recorded
from tests.support.tap_records import DIALOG, copy_of, event

TRANSCRIPT = Path(__file__).parents[2] / "data/transcripts/connected-call.jsonl"
#: Named by ari-proxy, so a command has created it.
CALLED = "arip-0123456789abcdef-0123456789"
START = copy_of("app_start", application="demo", channel_id="1.2")


def on(channel: str, event_type: str, kind: Kind = "event", **body: Any) -> TapRecord:
    snapshot = {"id": channel, "name": f"PJSIP/{channel}-0001", "state": body.pop("state", "Up")}
    ari_body = json.dumps({"type": event_type, "application": "demo", "channel": snapshot, **body})
    return copy_of(kind, 1.0, type=event_type, ari_body=ari_body)


def ended(reason: str, **more: Any) -> TapRecord:
    return event("ProxyDialogEnded", reason=reason, **more)


def commanded(request: str, status: int = 204, message: str = "", unique_id: str = "") -> Any:
    method, url = request.split(" ")
    body = json.dumps({"message": message}) if message else ""
    return (
        copy_of("command", 1.0, unique_id=unique_id, method=method, url=url),
        copy_of("response", 1.1, unique_id=unique_id, status_code=status, response_body=body),
    )


def destroyed(channel: str, cause: int = 16, text: str = "Normal Clearing", **more: Any) -> Any:
    return on(channel, "ChannelDestroyed", cause=cause, cause_txt=text, **more)


GAP = event("ProxyGap", reason="websocket_lost")
SOFT = on("1.2", "ChannelHangupRequest", soft=True, cause=32)
CALLS: list[tuple[Reason, str, Sequence[TapRecord]]] = [
    ("asterisk_restarted", "Asterisk restarted", [START, ended("asterisk_restarted")]),
    (
        "server_removed",
        "ari-proxy serves this Asterisk no more: it was removed",
        [START, ended("server_removed")],
    ),
    (
        "claimed_elsewhere",
        "Asterisk gave the call to another application",
        [copy_of("end", reason="claimed_elsewhere")],
    ),
    (
        "offer_over",
        "the caller hung up, or the dialplan went on, while it was offered",
        [copy_of("end", reason="offer_over")],
    ),
    (
        "not_created",
        "Asterisk refused to create its channel: POST /channels failed with 400 No such endpoint",
        [*commanded("POST /channels?endpoint=X", 400, "No such endpoint"), ended("not_created")],
    ),
    (
        "no_channel",
        "no channel came, and Asterisk has none that was asked for",
        [ended("no_channel")],
    ),
    (
        "no_application",
        "no instance of demo took the call, so ingest.no_listener was applied",
        [on("1.2", "StasisStart", "unheard"), on("1.2", "StasisEnd", "unheard")],
    ),
    (
        "application_gone",
        "demo was gone and no other instance took over, so ingest.no_listener was applied",
        [START, on("1.2", "StasisStart"), on("1.2", "StasisEnd", "unheard")],
    ),
    (
        "ended_unseen",
        "its channels ended while ari-proxy had no connection to Asterisk",
        [START, on("1.2", "StasisStart"), ended("channels_gone", channels=["1.2"])],
    ),
    (
        "ended_unseen",
        "its end was not seen, since events are missing (websocket_lost)",
        [START, on("1.2", "StasisStart"), GAP, ended("channels_left", channels=["1.2"])],
    ),
    (
        "hung_up_by_caller",
        "the caller hung up (16 Normal Clearing)",
        [START, on("1.2", "ChannelHangupRequest", cause=16), on("1.2", "StasisEnd")],
    ),
    (
        "hung_up_by_caller",
        "the caller hung up (16 Normal Clearing, tech cause 487)",
        [START, on("1.2", "ChannelHangupRequest", tech_cause=487), SOFT, destroyed("1.2")],
    ),
    (
        "hung_up_by_called",
        f"PJSIP/{CALLED}, which was called, hung up (16 Normal Clearing)",
        [on(CALLED, "StasisStart"), on(CALLED, "ChannelHangupRequest"), destroyed(CALLED)],
    ),
    (
        "hung_up_by_application",
        "the application hung up with DELETE /channels/1.2",
        [START, SOFT, *commanded("DELETE /channels/1.2?reason=normal"), destroyed("1.2")],
    ),
    (
        "hung_up_by_application",
        (
            "the application hung up with DELETE /channels/1.2, "
            "after POST /channels/1.2/play had failed: 404 Channel not found"
        ),
        [
            START,
            *commanded("POST /channels/1.2/play?media=x", 404, "Channel not found"),
            *commanded("DELETE /channels/1.2"),
            SOFT,
        ],
    ),
    (
        "hung_up_by_application",
        f"the application hung up with DELETE /channels/1.2, after PJSIP/{CALLED} had hung up",
        [START, SOFT, on(CALLED, "ChannelHangupRequest"), *commanded("DELETE /channels/1.2")],
    ),
    (
        "hung_up_by_application",
        (
            "the application hung up with DELETE /channels/1.2, "
            f"after PJSIP/{CALLED} had not answered (21 Call Rejected)"
        ),
        [
            START,
            on(CALLED, "ChannelHangupRequest", cause=21, state="Ringing"),
            SOFT,
            *commanded("DELETE /channels/1.2"),
        ],
    ),
    (
        "hung_up_by_application",
        "the application hung up with DELETE /channels/1.2",
        [
            START,
            on(CALLED, "ChannelHangupRequest", cause=21, state="Ringing"),
            on(CALLED + "x", "StasisStart"),
            SOFT,
            *commanded("DELETE /channels/1.2"),
        ],
    ),
    (
        "continued_in_dialplan",
        "the application sent the call on to the dialplan with POST /channels/1.2/continue",
        [START, *commanded("POST /channels/1.2/continue"), on("1.2", "StasisEnd")],
    ),
    (
        "moved",
        "the application sent the call elsewhere with POST /channels/1.2/move",
        [START, *commanded("POST /channels/1.2/move?app=b"), on("1.2", "StasisEnd")],
    ),
    (
        "not_answered",
        f"PJSIP/{CALLED} did not answer (17 User busy)",
        [on(CALLED, "Dial", state="Down"), destroyed(CALLED, 17, "User busy", state="Down")],
    ),
    (
        "not_answered",
        f"PJSIP/{CALLED} did not answer (21 Call Rejected)",
        [on(CALLED, "ChannelHangupRequest", cause=21, state="Ringing")],
    ),
    (
        "hung_up_in_asterisk",
        "Asterisk hung up, by no command that was seen (16 Normal Clearing)",
        [START, SOFT, destroyed("1.2")],
    ),
    ("unknown", "its messages do not tell why", [START, on("1.2", "StasisEnd")]),
]


@pytest.mark.parametrize(
    ("reason", "sentence", "call"), CALLS, ids=[f"{call[0]}-{n}" for n, call in enumerate(CALLS)]
)
def test_call_ended_for_a_reason(reason: Reason, sentence: str, call: list[TapRecord]) -> None:
    assert ending_of(facts_of(call)) == (reason, sentence)


def test_every_reason_has_a_row_and_a_call() -> None:
    every = set(get_args(Reason))
    assert {row[0] for row in ROWS} == every - {"unknown"}
    assert {call[0] for call in CALLS} == every


def test_every_reason_is_documented() -> None:
    documented = (Path(__file__).parents[3] / "docs/watching.md").read_text()
    assert [reason for reason in get_args(Reason)[:-1] if f"`{reason}`" not in documented] == []


def test_recorded_call_of_a_real_asterisk() -> None:
    decoder = msgspec.json.Decoder(TapRecord)
    call = [decoder.decode(line) for line in TRANSCRIPT.read_text().splitlines()]

    facts = facts_of(call)

    assert facts.application == "helpers0"
    assert facts.channel_id == "1795869067.0"
    assert len(facts.channels) == 3
    assert facts.failed == []
    assert ending_of(facts).sentence == (
        "the application hung up with DELETE /channels/1795869067.0"
    )


@pytest.mark.parametrize("version", ["16", "22"])
def test_recorded_leg_that_is_busy_did_not_answer(version: str) -> None:
    frames = [line["frame"] for line in recorded(version, "h_create_dial") if "frame" in line]
    own = [frame.replace("h-busy", CALLED) for frame in frames if '"id":"h-busy"' in frame]
    call = [copy_of("event", type=json.loads(one)["type"], ari_body=one) for one in own]

    ending = ending_of(facts_of(call))

    assert ending.reason == "not_answered"
    assert ending.sentence == "Local/busy@default did not answer (17 User busy)"


def test_command_that_has_failed_makes_no_channel_leave() -> None:
    call = [START, *commanded("DELETE /channels/1.2", 404, "Channel not found"), SOFT]
    facts = facts_of(call)
    assert ending_of(facts).reason == "hung_up_in_asterisk"
    assert [(one.request, one.status) for one in facts.failed] == [("DELETE /channels/1.2", 404)]


def test_response_belongs_to_the_command_with_its_id() -> None:
    hang_up, answered = commanded("DELETE /channels/1.2", unique_id="b")
    slow, refused = commanded("POST /channels/1.2/play", 404, unique_id="a")
    facts = facts_of([slow, hang_up, answered, refused])
    assert [one.request for one in facts.departures] == ["DELETE /channels/1.2"]
    assert [one.request for one in facts.failed] == ["POST /channels/1.2/play"]


@settings(max_examples=30)
@given(
    st.sampled_from(["app_start", "event", "unheard", "command", "request", "response", "end"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
)
def test_whatever_a_message_holds_it_says_something_or_nothing(kind: Kind, message: Any) -> None:
    encoded = records.encode(kind, 1, "s", DIALOG, json.dumps(message).encode())
    ending_of(facts_of([START, msgspec.json.decode(encoded, type=TapRecord)]))


def test_facts_of_one_call_are_bounded() -> None:
    many = [on(str(number), "StasisStart") for number in range(100)]
    many += [copy for _ in range(100) for copy in commanded("DELETE /channels/0", 404)]
    many += [GAP] * 100
    facts = facts_of(many)
    assert (len(facts.channels), len(facts.failed), len(facts.gaps)) == (32, 16, 16)


def test_records_of_no_dialog_say_nothing() -> None:
    assert facts_of([copy_of("skipped", dialog="", count=3)]).dialog_id == ""
