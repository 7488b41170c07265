"""The ladder of a dialog: drawn in each form, live, and from a capture."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.bus.base import Bus, Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap import records
from ari_proxy.tap.records import Kind, TapRecord
from ari_proxy.watch import ladder
from ari_proxy.watch.formats import Format
from ari_proxy.watch.render import lines
from ari_proxy.watch.render.descriptions import is_failure
from tests.support.malformed import DEEPLY_NESTED
from tests.support.recording import keep_all, recording
from tests.support.tap_records import CALL, DIALOG, copy_of, event


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


def test_ladder_is_drawn_as_it_goes_on() -> None:
    shown: list[str] = []
    show = ladder.live(shown.append)
    for copy in CALL:
        show(copy)
    assert "\n".join(shown) == ladder.draw(Format.TEXT, DIALOG, CALL)


def test_record_is_read_back_and_other_dialogs_left_out() -> None:
    other = copy_of("event", dialog="s.other")
    record = [lines.as_json(copy) for copy in [*CALL, other]]
    found = list(ladder.read_capture(record, DIALOG))
    assert ladder.draw(Format.TEXT, DIALOG, found) == ladder.draw(Format.TEXT, DIALOG, CALL)


@pytest.mark.parametrize("line", ['{"kind":"x"}', DEEPLY_NESTED.decode()])
def test_line_that_is_no_copy_is_named(line: str) -> None:
    with pytest.raises(ladder.CaptureError, match=r"line 2 is not from.*"):
        list(ladder.read_capture([lines.as_json(CALL[0]), line], DIALOG))


@pytest.mark.parametrize(
    ("dialog", "server"),
    [
        ("3fc4ccfe-747d-866c-b2a6-8aca87619f70", "two"),
        ("three.0123456789abcdef", "three"),
        ("of-a-client", None),
        ("8b5b9db0-c124-8ab3-aeee-0676d8ee6852", None),
        ("1780000000.12", None),
        ("one.12@192.0.2.1", None),
        ("a b.0123456789abcdef", None),
    ],
)
def test_dialog_is_that_of_its_server(dialog: str, server: str | None) -> None:
    configured = ["one", "two"]
    if server is None:
        with pytest.raises(ladder.NoSuchDialogError, match="is not a dialog of one or two"):
            ladder.server_of(dialog, configured)
    else:
        assert ladder.server_of(dialog, configured) == server


async def collected(bus: Bus, call: str, *servers: str) -> list[TapRecord]:
    """Return the records of a call whose ladder ends by itself."""
    found: list[TapRecord] = []
    async with asyncio.timeout(60):
        await ladder.collect(bus, servers or ("s",), call, found.append)
    return found


def kinds(found: list[TapRecord]) -> list[Kind]:
    return [record.kind for record in found]


@pytest.mark.parametrize("dialogs", [{}, {"s.other": "demo"}])
async def test_unknown_dialog_has_no_ladder(dialogs: dict[str, str]) -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await recording(bus, "ingest", dialogs=dialogs)
        with pytest.raises(ExceptionGroup) as caught:
            await collected(bus, DIALOG)
    assert caught.group_contains(ladder.NoSuchDialogError, match=f"s has no dialog {DIALOG}")


async def test_unknown_dialog_is_told_from_more_than_an_answer_holds() -> None:
    many = {f"s.{number}": "demo" for number in range(records.MAX_DIALOGS)}
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await recording(bus, "ingest", dialogs=many)
        with pytest.raises(ExceptionGroup) as caught:
            await collected(bus, DIALOG)
    assert caught.group_contains(ladder.NoSuchDialogError)


@pytest.mark.parametrize("dialogs", [{}, None])
async def test_end_need_not_come_last(dialogs: dict[str, str] | None) -> None:
    """A late command is answered 404 after it, and clocks may differ."""
    async with opened(MemoryBus(MemoryBroker())) as bus:
        tap = await recording(bus, "ingest", dialogs=dialogs)
        keep_all(tap, *CALL, CALL[4])
        found = await collected(bus, DIALOG)
    assert kinds(found) == [*kinds(CALL), "response"]


async def test_call_whose_ingest_has_gone_is_drawn_without_its_end() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        await recording(bus, "ingest", dialogs={})
        keep_all(await recording(bus, "command"), *CALL[2:5])
        found = await collected(bus, DIALOG)
    assert kinds(found) == ["command", "request", "response"]


@pytest.mark.parametrize("call", ["1780000000.12", "s.c4ll@192.0.2.1", "of-a-client"])
async def test_id_that_was_not_kept_blames_no_server(call: str) -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        keep_all(await recording(bus, "here", dialogs={}), *CALL)
        with pytest.raises(ladder.NoSuchDialogError, match=f"{call} is not a dialog of s"):
            await collected(bus, call)


async def test_call_is_found_by_its_channel_on_any_server() -> None:
    other = event("StasisStart", dialog="t.0123456789abcdef", channel={"id": "1.9"})
    async with opened(MemoryBus(MemoryBroker())) as bus:
        keep_all(await recording(bus, "here", dialogs={}), *CALL)
        keep_all(await recording(bus, "there", "t", dialogs={}), other)
        found = await collected(bus, "1.9", "away", "s", "t")
    assert [(record.server_id, record.dialog_id) for record in found] == [("t", other.dialog_id)]


async def test_open_call_goes_on_to_its_end_and_no_record_comes_twice() -> None:
    """What passes after the watch begins is both kept and copied."""
    begun = asyncio.Event()
    found: list[TapRecord] = []
    both = CALL[1:4] * 50
    async with opened(MemoryBus(MemoryBroker())) as bus, asyncio.timeout(60):
        tap = await recording(bus, "ingest", dialogs={DIALOG: "demo"})
        keep_all(tap, CALL[0])
        meanwhile = _once(lambda: keep_all(tap, *both))
        await bus.subscribe(topics.tap_requests(ServerId("s")), meanwhile)

        def add(record: TapRecord) -> None:
            found.append(record)
            begun.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ladder.collect(bus, ["s"], DIALOG, add))
            await begun.wait()
            keep_all(tap, *CALL[4:])
    assert kinds(found) == kinds([CALL[0], *both, *CALL[4:]])


def _once(do: Callable[[], None]) -> Callable[[Message], None]:
    """Return a handler that does something at the first message."""
    left = [do]

    def handle(_: Message) -> None:
        if left:
            left.pop()()

    return handle
