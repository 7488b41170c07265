"""What the flight recorder keeps, and what it shows."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ari_proxy.tap import call_records
from ari_proxy.tap import recorder as recorders
from ari_proxy.tap.ending import ending_of, is_failed
from ari_proxy.tap.facts import CallFacts
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.records import RecordedQuery, TapRecord
from tests.support.tap_records import CALL, DIALOG, event


def recorder(*, max_calls: int = 10, max_bytes: int = 10**6) -> Recorder:
    return Recorder("s", "here", max_calls=max_calls, max_bytes=max_bytes, masking=Masking())


def keep(
    kept: Recorder, *dialogs: str, kinds: Any = ("event", "end"), message: bytes = b"{}"
) -> None:
    for dialog in dialogs:
        for kind in kinds:
            kept.keep(kind, 1.0, dialog, message)


def pages(kept: Recorder, dialog_id: str = "") -> Any:
    position = 0
    while True:
        query = RecordedQuery(source="here", dialog_id=dialog_id, position=position)
        answer = kept.answer(query)
        assert answer is not None
        yield answer
        position = answer.position
        if not position:
            return


def calls(kept: Recorder) -> list[CallFacts]:
    return [facts for page in pages(kept) for facts in page.calls]


def records(kept: Recorder, dialog_id: str) -> list[TapRecord]:
    return [record for page in pages(kept, dialog_id) for record in page.records]


def dialogs(kept: Recorder) -> list[str]:
    return [facts.dialog_id for facts in calls(kept)]


def test_call_is_shown_as_it_passed() -> None:
    kept = recorder()
    for record in CALL:
        kept.keep(record.kind, record.at, record.dialog_id, bytes(record.message))

    assert records(kept, DIALOG) == CALL
    assert [facts.application for facts in calls(kept)] == ["demo"]
    assert records(kept, "s.other") == []


def test_newest_calls_come_first() -> None:
    kept = recorder()
    keep(kept, "s.1", "s.2", "s.3")
    assert dialogs(kept) == ["s.3", "s.2", "s.1"]


def test_of_ended_calls_the_last_are_kept_and_open_ones_stay() -> None:
    kept = recorder(max_calls=2)
    keep(kept, "s.open", kinds=["event"])
    keep(kept, "s.1", "s.2", "s.3")
    assert dialogs(kept) == ["s.3", "s.2", "s.open"]


def test_where_bytes_are_short_ended_calls_go_before_open_ones() -> None:
    kept = recorder(max_bytes=6_000)
    keep(kept, "s.open", kinds=["event"])
    keep(kept, *(f"s.{number}" for number in range(20)), kinds=["event", "end"])
    assert dialogs(kept)[-1] == "s.open"
    assert "s.19" in dialogs(kept)
    assert "s.0" not in dialogs(kept)


def test_many_open_calls_leave_ended_ones_a_share() -> None:
    kept = recorder(max_bytes=20_000)
    keep(kept, "s.over")
    keep(kept, *(f"s.{number}" for number in range(100)), kinds=["event"])
    assert dialogs(kept)[0] == "s.99"
    assert dialogs(kept)[-1] == "s.over"


def test_late_message_of_an_ended_call_leaves_it_ended() -> None:
    kept = recorder(max_calls=1)
    keep(kept, "s.1", kinds=["event", "end", "response"])
    keep(kept, "s.2")
    assert dialogs(kept) == ["s.2"]


def test_calls_whose_end_is_never_seen_are_bounded() -> None:
    kept = recorder(max_calls=1, max_bytes=10**8)
    many = recorders.MAX_OPEN_CALLS + 1
    keep(kept, *(f"s.{number}" for number in range(many)), kinds=["command"])
    assert len(kept) == recorders.MAX_OPEN_CALLS
    assert kept.size == recorders.MAX_OPEN_CALLS * (
        call_records.CALL_BYTES + call_records.RECORD_BYTES + len(b"{}")
    )


def test_call_that_was_forgotten_while_open_begins_anew_and_says_so() -> None:
    kept = recorder(max_bytes=3_000)
    for sequence in (1, 2):
        one = event("ChannelHangupRequest", sequence, channel={"id": "2"})
        kept.keep("event", sequence, DIALOG, bytes(one.message))
        if sequence == 1:
            keep(kept, "s.large", kinds=["event"], message=b'"%b"' % (b"x" * 2_000))
    kept.keep("end", 3.0, DIALOG, b"{}")

    (facts,) = calls(kept)

    assert (facts.dialog_id, facts.started_at, facts.lacks_beginning) == (DIALOG, 2.0, True)
    assert ending_of(facts) == ("unknown", "its beginning was not kept")
    assert not is_failed(facts)


def test_call_without_its_beginning_still_ends_as_the_proxy_has_reported() -> None:
    facts = CallFacts(DIALOG, ended_at=3.0, lacks_beginning=True, end_reason="asterisk_restarted")
    assert ending_of(facts).reason == "asterisk_restarted"
    assert is_failed(facts)


def test_end_that_comes_again_is_one_call() -> None:
    kept = recorder(max_calls=2)
    keep(kept, "s.1", "s.1", "s.2")
    assert dialogs(kept) == ["s.2", "s.1"]


def test_messages_of_the_server_are_of_no_call() -> None:
    kept = recorder()
    keep(kept, "s", "", kinds=["command"])
    assert (len(kept), kept.size) == (0, 0)


def size_of(kept: Recorder) -> int:
    """Return the bytes of all that is shown."""
    size = len(kept) * call_records.CALL_BYTES
    for dialog in dialogs(kept):
        own = [record for record in records(kept, dialog) if record.kind != "skipped"]
        messages = sum(len(bytes(record.message)) for record in own)
        size += messages + call_records.RECORD_BYTES * len(own)
    return size


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 300)), max_size=40)
)
def test_bytes_are_counted_and_bounded(kept_messages: list[tuple[str, bool, int]]) -> None:
    kept = recorder(max_calls=2, max_bytes=5_000)
    for dialog, is_end, size in kept_messages:
        kept.keep("end" if is_end else "event", 1.0, dialog, b'"%b"' % (b"x" * size))
        assert kept.size == size_of(kept) <= 5_000


def test_message_larger_than_all_room_leaves_it_empty() -> None:
    kept = recorder(max_bytes=1_000)
    keep(kept, "s.1", kinds=["event"], message=b"x" * 2_000)
    assert (len(kept), kept.size) == (0, 0)


def test_long_call_keeps_its_beginning_and_its_end() -> None:
    kept = long_call(call_records.MAX_CALL_RECORDS + 1)

    shown = records(kept, "s.1")

    half, quarter = call_records.MAX_CALL_RECORDS // 2, call_records.MAX_CALL_RECORDS // 4
    note = shown[half]
    assert note.kind == "skipped"
    assert bytes(note.message) == b'{"count":500,"reason":"the call has too many"}'
    others = [record.at for record in shown if record is not note]
    assert others == [*range(half), *range(half + quarter, call_records.MAX_CALL_RECORDS + 1)]
    assert kept.size == size_of(kept)


def long_call(count: int) -> Recorder:
    kept = recorder(max_bytes=10**8)
    grow(kept, 0, count)
    return kept


def grow(kept: Recorder, begin: int, end: int) -> None:
    for number in range(begin, end):
        kept.keep("event", number, "s.1", b'{"sequence":%d}' % number)


def missing(shown: list[TapRecord]) -> int:
    """Return the count of messages that notes say are not shown."""
    notes = [json.loads(bytes(one.message)) for one in shown if one.kind == "skipped"]
    return sum(note["count"] for note in notes)


@pytest.mark.parametrize("first_page", [1, 2, 3, 4])
def test_call_that_is_shortened_between_two_pages_misses_nothing_untold(first_page: int) -> None:
    kept = long_call(call_records.MAX_CALL_RECORDS)
    count = 2 * call_records.MAX_CALL_RECORDS
    shown: list[TapRecord] = []

    for number, page in enumerate(pages(kept, "s.1"), 1):
        shown += page.records
        if number == first_page:
            grow(kept, call_records.MAX_CALL_RECORDS, count)

    seen = [record.at for record in shown if record.kind != "skipped"]
    assert seen == sorted(set(seen))
    assert len(seen) + missing(shown) == count


def test_page_is_limited_in_records_and_bytes() -> None:
    kept = recorder(max_calls=1_000, max_bytes=10**8)
    many = recorders.PAGE_RECORDS + 1
    keep(kept, "s.1", kinds=["event"] * many)
    keep(kept, "s.2", kinds=["event"] * 3, message=b'"%b"' % (b"x" * 60_000))
    keep(kept, *(f"s.{number}" for number in range(3, 500)))

    assert [len(page.records) for page in pages(kept, "s.1")] == [recorders.PAGE_RECORDS, 1]
    assert [len(page.records) for page in pages(kept, "s.2")] == [1, 1, 1]
    assert len(dialogs(kept)) == len(set(dialogs(kept))) == 499


@pytest.mark.parametrize("size", [0, 9_000])
def test_facts_of_a_long_call_are_read_in_pages(size: int) -> None:
    kept = recorder(max_bytes=10**8)
    keep(kept, "s.1", kinds=["event"])
    for record in CALL[:-1]:
        kept.keep(record.kind, record.at, DIALOG, bytes(record.message))
    count = call_records.MAX_CALL_RECORDS - len(CALL)
    keep(kept, DIALOG, kinds=["event"] * count, message=b'{"x":"%b"}' % (b"x" * size))
    kept.keep("end", 9.0, DIALOG, b"{}")

    answers = list(pages(kept))

    least = max(count / recorders.PAGE_RECORDS, count * size / recorders.FACTS_BYTES)
    assert len(answers) >= least
    found = [facts for answer in answers for facts in answer.calls]
    assert [facts.dialog_id for facts in found] == [DIALOG, "s.1"]
    ours = found[0]
    assert (ours.application, ours.channel_id, ours.ended_at) == ("demo", "1.2", 9.0)


def test_call_that_begins_anew_while_it_is_read_is_read_anew() -> None:
    kept = recorder(max_calls=1)
    keep(kept, "s.1", kinds=["event"] * 2 * recorders.PAGE_RECORDS)
    next(pages(kept))
    kept.keep("end", 2.0, "s.1", b"{}")
    keep(kept, "s.2")
    kept.keep("event", 5.0, "s.1", b"{}")

    ours = calls(kept)[0]

    assert (ours.dialog_id, ours.started_at, ours.ended_at) == ("s.1", 5.0, 0.0)


def test_many_who_stop_asking_leave_little_behind() -> None:
    kept = recorder(max_calls=100, max_bytes=10**8)
    for number in range(2 * recorders.MAX_READINGS):
        keep(kept, f"s.{number}", kinds=["event"] * 2 * recorders.PAGE_RECORDS)
        assert kept.answer(RecordedQuery(source="here")) is not None

    assert len(dialogs(kept)) == 2 * recorders.MAX_READINGS


def test_message_larger_than_a_page_is_left_out() -> None:
    kept = recorder(max_bytes=10**7)
    keep(kept, "s.1", kinds=["event"], message=b"x" * 300_000)
    assert [record.kind for record in records(kept, "s.1")] == ["skipped"]


def test_facts_are_masked_but_for_ids() -> None:
    kept = Recorder("s", "here", max_calls=1, max_bytes=10**6, masking=Masking(numbers=True))
    channel = {"id": "49301234567", "caller": {"number": "+4930123456"}}
    start = event("StasisStart", channel=channel)
    kept.keep("event", 1.0, DIALOG, bytes(start.message))

    (facts,) = calls(kept)

    assert facts.channel_id == "49301234567"
    assert facts.main is not None
    assert (facts.main.channel_id, facts.main.caller) == ("49301234567", "***456")


def test_recorder_gives_its_name_and_answers_for_itself_only() -> None:
    kept = recorder()
    named = kept.answer(RecordedQuery())
    assert named is not None
    assert named.source == "here"
    assert kept.answer(RecordedQuery(known=("here",))) is None
    assert kept.answer(RecordedQuery(source="elsewhere")) is None


def test_call_that_is_shown_keeps_no_secret() -> None:
    kept = recorder()
    url = b'{"url":"/channels/1/variable?variable=API_TOKEN&value=s3cr3t"}'
    keep(kept, "s.1", kinds=["command"], message=url)
    assert b"s3cr3t" not in bytes(records(kept, "s.1")[0].message)
