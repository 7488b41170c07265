"""`ari-proxy ladder`: one dialog, live or from a file that `tail --json` has written."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ari_proxy.aio import run_until_first
from ari_proxy.bus.base import opened
from ari_proxy.connections import factories
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.settings.load import Settings
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.watcher import Watcher

from .formats import Format
from .render import mermaid, steps, svg, text

_DRAWINGS: Final = {
    Format.TEXT: text.draw,
    Format.MERMAID: mermaid.draw,
    Format.SVG: svg.draw,
}
#: Records of one dialog; a longer one is cut off.
MAX_RECORDS: Final = 100_000
_decoder = msgspec.json.Decoder(TapRecord)


class CaptureError(Exception):
    """A file of `tail --json` can't be read."""


class NoSuchDialogError(Exception):
    """No such dialog is open."""


def read_capture(lines: Iterable[str], dialog_id: str) -> Iterator[TapRecord]:
    """Yield one dialog's records from the lines of `tail --json`.

    Raises:
        CaptureError: a line is no record; names its number.
    """
    for number, line in enumerate(lines, 1):
        try:
            record = _decoder.decode(line)
        except UNDECODABLE as error:
            raise CaptureError(f"line {number} is not from `tail --json`: {error}") from error
        if record.dialog_id == dialog_id:
            yield record


def draw(form: Format, dialog_id: str, records: list[TapRecord]) -> str:
    """Return a dialog's ladder in a format."""
    if form is Format.JSON:
        return steps.as_json(dialog_id, records)
    return _DRAWINGS[form](dialog_id, steps.all_of(records))


async def follow(
    settings: Settings,
    server: ServerId,
    dialog_id: str,
    stop: asyncio.Event,
    found: list[TapRecord],
    show: Callable[[TapRecord], None],
) -> None:
    """Collect a dialog's records from now until its end, or until `stop`.

    Args:
        settings: of the bus.
        server: the dialog's.
        dialog_id: the dialog to follow.
        stop: ends the collection.
        found: receives the records.
        show: called with each record.

    Raises:
        NobodyServesError: neither ingest nor command of its server is on the bus.
        NoSuchDialogError: its ingest does not have it.
        BusError: the bus does not answer.
    """
    async with opened(factories.bus(settings, "ladder")) as bus:

        async def watch() -> None:
            watcher = Watcher(bus, server, dialog_id)
            async with watcher.watching() as records:
                if dialog_id not in (watcher.dialogs or {dialog_id: ""}):
                    raise NoSuchDialogError(f"{server} has no open dialog {dialog_id}")
                async for record in records:
                    found.append(record)
                    show(record)
                    if record.kind == "end" or len(found) >= MAX_RECORDS:
                        return

        await run_until_first(watch(), stop.wait())


def server_of(dialog_id: str, configured: Sequence[str]) -> ServerId:
    """Return the server of a dialog, by its id; a UUID names none, but can be checked for some.

    Raises:
        NoSuchDialogError: it belongs to none of the configured servers.
    """
    named, dot, _ = dialog_id.partition(".")
    if dot:
        return ServerId(named)
    own = (server for server in configured if ids.is_of_server(dialog_id, server))
    if (server := next(own, None)) is not None:
        return ServerId(server)
    if ids.is_dialog_id(dialog_id) or len(configured) > 1:
        raise NoSuchDialogError(
            f"{dialog_id} is not a dialog of {' or '.join(configured)}; "
            "set server_id to that of its server"
        )
    return ServerId(configured[0])


def silent(_: TapRecord) -> None:
    """Print nothing."""


def live(dialog_id: str, show: Callable[[str], None]) -> Callable[[TapRecord], None]:
    """Return a callback that prints each record as a line of a ladder, header first."""
    begun_at: list[float] = []
    made = steps.Steps()

    def show_record(record: TapRecord) -> None:
        if not begun_at:
            begun_at.append(record.at)
            show("\n".join(text.head(dialog_id)))
        show(text.line(made.next(record), begun_at[0]))

    return show_record
