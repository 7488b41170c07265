"""What several processes know of one call, together."""

from ari_proxy.tap.ending import ending_of
from ari_proxy.tap.facts import CallFacts, ChannelFacts, merged
from ari_proxy.tap.facts_reader import facts_of
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
