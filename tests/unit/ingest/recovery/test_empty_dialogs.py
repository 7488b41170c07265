"""Dialogs that a client has begun with a request, and whether anything came of it."""

import asyncio
import time
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
    """A dialog without a channel."""

    def __init__(self, path: Scene, dialog: Dialog) -> None:
        self.path = path
        self.dialog = dialog
        self.dialogs = EmptyDialogs(AsteriskFetch(path.rest), path.dialogs, look_seconds=0.001)

    def be_overdue(self) -> None:
        """Have waited for a channel long enough."""
        self.path.dialogs.await_channel(self.dialog, time.monotonic() - EMPTY_SECONDS)

    async def looked(self) -> None:
        """Have waited long enough, and be looked for once."""
        self.be_overdue()
        await self.dialogs.look()

    @property
    def end(self) -> str:
        return self.dialog.end_reason if self.dialog.is_ended else ""


@asynccontextmanager
async def empty(kind: Literal["channel", "bridge"] = "channel") -> AsyncIterator[Empty]:
    async with scene() as path:
        path.dialogs.register(ObjectRegistration(DIALOG, kind, "mine"), 0)
        yield Empty(path, path.dialogs.dialogs[DIALOG])


@pytest.mark.parametrize("kind", ["channel", "bridge"])
async def test_dialog_of_which_asterisk_has_nothing_ends(
    kind: Literal["channel", "bridge"],
) -> None:
    async with empty(kind) as made:
        made.path.asterisk.add_channel("another")
        made.be_overdue()
        watching = asyncio.create_task(made.dialogs.watch())
        await until(lambda: made.end)
        watching.cancel()

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
        # Another one that is due at the same time.
        other = made.path.dialogs.open_empty(
            DialogId(f"{SERVER}.zyxwvtsrqpnmkjhg"),
            "",
            announce=False,
            now=time.monotonic() - EMPTY_SECONDS,
        )
        await made.looked()

    assert (made.end, other.is_ended) == ("", True)
