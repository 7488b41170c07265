"""Dialogs that a client has begun with a request, and whether anything came of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from ari_proxy.ingest.recovery.empty_dialogs import EmptyDialogs
from ari_proxy.ingest.recovery.fetch import AsteriskFetch
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import EMPTY_SECONDS
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import ObjectRegistration
from tests.support.event_path import SERVER, Scene, scene
from tests.support.running import until

DIALOG = DialogId(f"{SERVER}.0123456789abcdef")


class Empty:
    """A dialog without a channel, looked after with a clock that is set by hand."""

    def __init__(self, path: Scene, dialog: Dialog) -> None:
        self.path = path
        self.dialog = dialog
        self.now = 0.0
        self._reads = 0

    def clock(self) -> float:
        self._reads += 1
        return self.now

    async def looked(self) -> None:
        """Let the time pass for which a channel is waited for; return once Asterisk was asked."""
        self.now += EMPTY_SECONDS
        before = self._reads
        # At the look's beginning, at its end, and when the next one begins.
        await until(lambda: self._reads >= before + 3)

    @property
    def end(self) -> str:
        return self.dialog.end_reason if self.dialog.is_ended else ""


@asynccontextmanager
async def empty(kind: Literal["channel", "bridge"] = "channel") -> AsyncIterator[Empty]:
    async with scene() as path:
        path.dialogs.register(ObjectRegistration(DIALOG, kind, "mine"), 0)
        made = Empty(path, path.dialogs.dialogs[DIALOG])
        empties = EmptyDialogs(
            AsteriskFetch(path.rest), path.dialogs, clock=made.clock, look_seconds=0.001
        )
        watching = asyncio.create_task(empties.watch())
        yield made
        watching.cancel()
        await asyncio.wait([watching])


@pytest.mark.parametrize("kind", ["channel", "bridge"])
async def test_dialog_of_which_asterisk_has_nothing_ends(
    kind: Literal["channel", "bridge"],
) -> None:
    async with empty(kind) as made:
        made.path.asterisk.add_channel("another")
        await made.looked()

    assert made.end == "no_channel"


@pytest.mark.parametrize("kind", ["channel", "bridge"])
async def test_dialog_lives_as_long_as_asterisk_has_what_was_asked_for(
    kind: Literal["channel", "bridge"],
) -> None:
    """Of a channel without an application, and of a bridge, no event comes."""
    async with empty(kind) as made:
        listed = made.path.asterisk.channels if kind == "channel" else made.path.asterisk.bridges
        listed.append({"id": "mine"})
        for _ in range(3):
            await made.looked()
            assert made.end == ""
        listed.clear()
        await made.looked()

    assert made.end == "no_channel"


async def test_dialog_waits_while_asterisk_does_not_tell() -> None:
    async with empty() as made:
        made.path.asterisk.unlisted = 1
        await made.looked()
        assert made.end == ""
        await made.looked()

    assert made.end == "no_channel"


async def test_dialog_waits_for_what_is_asked_for_while_asterisk_answers() -> None:
    async with empty() as made:
        second = ObjectRegistration(DIALOG, "channel", "second")

        class AskedFor(list[dict[str, object]]):
            """The list of bridges, the last that Asterisk tells."""

            def __iter__(self) -> Iterator[dict[str, object]]:
                made.path.dialogs.register(second, 0)
                return super().__iter__()

        made.path.asterisk.bridges = AskedFor([{"id": "another"}])
        await made.looked()
        assert made.end == ""
        made.path.asterisk.bridges = []
        await made.looked()

    assert made.end == "no_channel"


async def test_dialog_whose_channel_has_come_is_not_looked_for() -> None:
    async with empty() as made:
        made.path.push("StasisStart", "mine")
        made.now = 10 * EMPTY_SECONDS
        # Another one that is due at the same time.
        other = made.path.dialogs.open_empty(
            DialogId(f"{SERVER}.zyxwvtsrqpnmkjhg"), "", announce=False, now=0
        )
        await until(lambda: other.is_ended)

    assert made.end == ""
