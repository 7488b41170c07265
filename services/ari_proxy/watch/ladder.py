"""`ari-proxy ladder`: one dialog, as it goes on or from a record."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from ari_proxy.aio import run_until_first
from ari_proxy.bus.base import opened
from ari_proxy.connections import factories
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.settings.load import Settings
from ari_proxy.tap.copies import Copy
from ari_proxy.tap.watcher import Watcher

from . import mermaid, steps, svg, terminal
from .formats import Format

_DRAWINGS: Final = {
    Format.TEXT: terminal.draw,
    Format.MERMAID: mermaid.draw,
    Format.SVG: svg.draw,
}
#: Of one dialog; a longer one is cut.
MAX_COPIES: Final = 100_000
_decoder = msgspec.json.Decoder(Copy)


class RecordError(Exception):
    """A record of copies can't be read."""


class NoSuchDialogError(Exception):
    """The dialog is not open."""


def read_record(lines: Iterable[str], dialog_id: str) -> Iterator[Copy]:
    """Yield a dialog's copies from what `tail --json` has written.

    Raises:
        RecordError: with the number of the line.
    """
    for number, text in enumerate(lines, 1):
        try:
            copy = _decoder.decode(text)
        except UNDECODABLE as error:
            raise RecordError(f"line {number} is no copy of `tail --json`: {error}") from error
        if copy.dialog_id == dialog_id:
            yield copy


def draw(form: Format, dialog_id: str, copies: list[Copy]) -> str:
    """Return a dialog in one of the formats."""
    if form is Format.JSON:
        return steps.as_json(dialog_id, copies)
    found = [steps.step_of(copy) for copy in copies]
    return _DRAWINGS[form](dialog_id, found)


async def follow(
    settings: Settings,
    dialog_id: str,
    stop: asyncio.Event,
    found: list[Copy],
    show: Callable[[Copy], None],
) -> None:
    """Gather a dialog's copies from now until its end, or until `stop`.

    Args:
        settings: where the bus is.
        dialog_id: which.
        stop: set when it should end.
        found: gets the copies.
        show: called with each.

    Raises:
        NobodyServesError: no process of its server is on the bus.
        NoSuchDialogError: its ingest does not know it.
        BusError: the bus does not answer.
    """
    server = _server_of(dialog_id, settings.server_id)
    async with opened(factories.bus(settings, "ladder")) as bus:

        async def watch() -> None:
            watcher = Watcher(bus, server, dialog_id)
            async with watcher.watching() as copies:
                if dialog_id not in (watcher.dialogs or {dialog_id: ""}):
                    raise NoSuchDialogError(f"{server} has no open dialog {dialog_id}")
                async for copy in copies:
                    found.append(copy)
                    show(copy)
                    if copy.kind == "end" or len(found) >= MAX_COPIES:
                        return

        await run_until_first(watch(), stop.wait())


def _server_of(dialog_id: str, configured: str) -> ServerId:
    """Return the server that a dialog's id names; a UUID names none, but tells a given one."""
    named, dot, _ = dialog_id.partition(".")
    if not dot and ids.is_dialog_id(dialog_id) and not ids.is_of_server(dialog_id, configured):
        raise NoSuchDialogError(
            f"{dialog_id} is no dialog of {configured}; set server_id to the server that has it"
        )
    return ServerId(named if dot else configured)


def silent(_: Copy) -> None:
    """Show nothing."""


def live(dialog_id: str, show: Callable[[str], None]) -> Callable[[Copy], None]:
    """Return what shows each copy as a line of a ladder, below its head."""
    begun_at: list[float] = []

    def show_copy(copy: Copy) -> None:
        if not begun_at:
            begun_at.append(copy.at)
            show("\n".join(terminal.head(dialog_id)))
        show(terminal.line(steps.step_of(copy), begun_at[0]))

    return show_copy
