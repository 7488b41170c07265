"""What several processes know of one call, together."""

import msgspec

from ari_proxy.tap.ending import ending_of
from ari_proxy.tap.facts import (
    MAX_CHANNELS,
    MAX_COMMANDS,
    CallFacts,
    ChannelFacts,
    CommandFacts,
    calls_of,
    merged,
)
from ari_proxy.tap.facts_reader import facts_of
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.records import RecordedQuery
from tests.support.tap_records import CALL, DIALOG, copy_of

COMMANDS = {"command", "request", "response"}


def test_parts_of_ingest_and_command_are_the_whole() -> None:
    call = [*CALL[:-2], copy_of("end", 0.005)]
    ingest = facts_of(record for record in call if record.kind not in COMMANDS)
    command = facts_of(record for record in call if record.kind in COMMANDS)
    assert merged([ingest, command]) == merged([command, ingest]) == facts_of(call)


def test_what_a_part_knows_of_a_channel_fills_in_what_another_does_not() -> None:
    first = CallFacts("s.1", channels={"1": ChannelFacts("1", name="A", answered_at=2.0)})
    second = CallFacts(
        "s.1", channels={"1": ChannelFacts("1", left_at=5.0), "2": ChannelFacts("2")}
    )
    both = merged([first, second])
    assert both.channels == {
        "1": ChannelFacts("1", name="A", answered_at=2.0, left_at=5.0),
        "2": ChannelFacts("2"),
    }


def test_parts_of_two_ingests_are_one_call_whoever_answers_first() -> None:
    former = CallFacts(
        "s.1",
        channel_id="1",
        started_at=1.0,
        is_accepted=True,
        gaps=["old"] * 10,
        channels={"1": ChannelFacts("1", name="A", answered_at=2.0, left_at=3.0)},
    )
    latter = CallFacts(
        "s.1",
        channel_id="2",
        started_at=4.0,
        ended_at=7.0,
        lacks_beginning=True,
        is_accepted=True,
        end_reason="channels_left",
        gaps=["new"] * 10,
        channels={
            "2": ChannelFacts("2", answered_at=5.0),
            "1": ChannelFacts("1", name="A", answered_at=4.5, left_at=6.0),
        },
    )
    before = msgspec.json.encode([former, latter])

    both = merged([latter, former])

    assert both == merged([former, latter])
    assert both.main == ChannelFacts("1", name="A", answered_at=2.0, left_at=6.0)
    assert (both.started_at, both.ended_at, both.lacks_beginning) == (1.0, 7.0, False)
    assert both.gaps == ["old"] * 10 + ["new"] * (MAX_COMMANDS - 10)
    assert msgspec.json.encode([former, latter]) == before


def test_end_that_came_last_says_why() -> None:
    parts = [
        CallFacts("s.1", ended_at=2.0, end_reason="channels_gone"),
        CallFacts("s.1", ended_at=3.0, end_reason="channels_left"),
    ]
    assert merged(parts).end_reason == merged(parts[::-1]).end_reason == "channels_left"


def test_what_many_processes_know_of_a_call_is_bounded() -> None:
    parts = [
        CallFacts(
            "s.1",
            channels={f"{part}.{one}": ChannelFacts(f"{part}.{one}") for one in range(20)},
            failed=[CommandFacts(part, "DELETE /x")] * 10,
            departures=[CommandFacts(part, "DELETE /x")] * 10,
        )
        for part in range(5)
    ]
    both = merged(parts)
    assert len(both.channels) == MAX_CHANNELS
    assert len(both.failed) == len(both.departures) == MAX_COMMANDS


def test_call_that_its_ingest_has_forgotten_is_in_no_list() -> None:
    ingest, command = (
        Recorder("s", name, max_calls=1, max_bytes=10**6, masking=Masking()) for name in "ic"
    )
    for call in ("s.1", "s.2", "s.3"):
        command.keep("command", 1.0, call, b"{}")
        ingest.keep("event", 1.0, call, b"{}")
        ingest.keep("end", 2.0, call, b"{}")
    pages = [
        one.answer(RecordedQuery(source=name)) for one, name in ((command, "c"), (ingest, "i"))
    ]
    parts = [facts for page in pages if page is not None for facts in page.calls]

    assert [facts.dialog_id for facts in calls_of(parts)] == ["s.3"]


def test_without_an_ingest_calls_are_what_commands_tell() -> None:
    parts = [CallFacts("s.2", started_at=2.0), CallFacts("s.1", started_at=1.0)]
    assert [facts.dialog_id for facts in calls_of(parts)] == ["s.1", "s.2"]


def test_call_without_channels_has_no_duration_and_no_reason() -> None:
    facts = CallFacts(DIALOG)
    assert (facts.main, facts.seconds(9.0)) == (None, 0.0)
    assert ending_of(facts).reason == "unknown"


def test_duration_counts_from_the_answer() -> None:
    channel = ChannelFacts("1", answered_at=2.0, left_at=5.0)
    assert CallFacts("s.1", channel_id="1", channels={"1": channel}).seconds(9.0) == 3.0


def test_call_that_is_up_lasts_until_now() -> None:
    channel = ChannelFacts("1", answered_at=2.0)
    facts = CallFacts("s.1", channel_id="1", channels={"1": channel})
    assert (facts.seconds(9.0), facts.seconds(1.0)) == (7.0, 0.0)


def test_call_is_found_by_each_of_its_ids() -> None:
    facts = CallFacts("s.1", channels={"1.2": ChannelFacts("1.2", protocol_id="abc@host")})
    assert [facts.has_id(text) for text in ("s.1", "1.2", "abc@host", "1", "")] == [
        True,
        True,
        True,
        False,
        False,
    ]
