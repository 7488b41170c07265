"""What the flight recorder keeps, and what it shows."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ari_proxy.tap import recorder as recorders
from ari_proxy.tap.facts import CallFacts
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.records import RecordedQuery, TapRecord
from tests.support.tap_records import CALL, DIALOG


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


def test_end_that_comes_again_is_one_call() -> None:
    kept = recorder(max_calls=2)
    keep(kept, "s.1", "s.1", "s.2")
    assert dialogs(kept) == ["s.2", "s.1"]


def test_messages_of_the_server_are_of_no_call() -> None:
    kept = recorder()
    keep(kept, "s", "", kinds=["command"])
    assert (len(kept), kept.size) == (0, 0)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 300)), max_size=40)
)
def test_bytes_are_counted_and_bounded(kept_messages: list[tuple[str, bool, int]]) -> None:
    kept = recorder(max_calls=2, max_bytes=5_000)
    for dialog, is_end, size in kept_messages:
        kept.keep("end" if is_end else "event", 1.0, dialog, b"x" * size)
        assert kept.size <= 5_000
        own = kept._calls.values()
        assert kept.size == sum(call.size for call in own)
        assert set(kept._ended) <= set(kept._calls)


def test_message_larger_than_all_room_leaves_it_empty() -> None:
    kept = recorder(max_bytes=1_000)
    keep(kept, "s.1", kinds=["event"], message=b"x" * 2_000)
    assert (len(kept), kept.size) == (0, 0)


def test_long_call_keeps_its_beginning_and_its_end() -> None:
    kept = recorder(max_bytes=10**7)
    count = recorders.MAX_CALL_RECORDS + 1
    for number in range(count):
        kept.keep("event", number, "s.1", b'{"sequence":%d}' % number)

    shown = records(kept, "s.1")

    assert len(shown) == count - recorders.MAX_CALL_RECORDS // 4
    assert (shown[0].at, shown[-1].at) == (0, count - 1)
    (skipped,) = [record for record in shown if record.kind == "skipped"]
    assert bytes(skipped.message) == b'{"count":500}'
    assert kept.size == next(iter(kept._calls.values())).size


def test_page_is_limited_in_records_and_bytes() -> None:
    kept = recorder(max_calls=1_000, max_bytes=10**8)
    many = recorders.PAGE_RECORDS + 1
    keep(kept, "s.1", kinds=["event"] * many)
    keep(kept, "s.2", kinds=["event"] * 3, message=b'"%b"' % (b"x" * 150_000))
    keep(kept, *(f"s.{number}" for number in range(3, 500)))

    assert [len(page.records) for page in pages(kept, "s.1")] == [recorders.PAGE_RECORDS, 1]
    assert [len(page.records) for page in pages(kept, "s.2")] == [2, 1]
    assert len(dialogs(kept)) == len(set(dialogs(kept))) == 499
    assert max(len(msgspec.json.encode(page)) for page in pages(kept)) < 300_000


def test_message_larger_than_a_page_is_left_out() -> None:
    kept = recorder(max_bytes=10**7)
    keep(kept, "s.1", kinds=["event"], message=b"x" * 300_000)
    assert [record.kind for record in records(kept, "s.1")] == ["skipped"]


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
