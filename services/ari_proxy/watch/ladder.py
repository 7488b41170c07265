"""`ari-proxy ladder`: one dialog, as it was kept and live, or from a file of `tail --json`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from ari_proxy.aio import run_until_first
from ari_proxy.bus.base import Bus, opened
from ari_proxy.connections import factories
from ari_proxy.protocol import ids
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.settings.load import Settings
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorded_calls import RecordedCalls, calls_of_servers
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
    """No such dialog is open, or was kept."""


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
    configured: Sequence[str],
    call: str,
    stop: asyncio.Event,
    found: list[TapRecord],
    show: Callable[[TapRecord], None],
) -> None:
    """Collect a dialog's records: what was kept of it, then all until its end, or until `stop`.

    Args:
        settings: of the bus.
        configured: the servers of the settings.
        call: the dialog's id, or the id or SIP Call-ID of one of its channels.
        stop: ends the collection.
        found: receives the records.
        show: called with each record.

    Raises:
        NobodyServesError: neither ingest nor command of its server is on the bus.
        NoSuchDialogError: it is not open, and nothing is kept of it.
        BusError: the bus does not answer; in an ExceptionGroup, as the others.
    """
    masking = Masking(numbers=settings.recorder.mask_numbers)

    def add(record: TapRecord) -> None:
        shown = masking.record(record)
        found.append(shown)
        show(shown)

    async with opened(factories.bus(settings, "ladder")) as bus:
        await run_until_first(collect(bus, configured, call, add), stop.wait())


async def collect(
    bus: Bus, configured: Sequence[str], call: str, add: Callable[[TapRecord], None]
) -> None:
    """Add a dialog's records until its end, as `follow` does, on a bus that is open."""
    server, dialog_id = await _located(bus, configured, call)
    watcher = Watcher(bus, server, dialog_id)
    async with watcher.watching() as records:
        kept = await RecordedCalls(bus, server).records(dialog_id)
        is_over = _is_over(dialog_id, kept, watcher.dialogs)
        if is_over and not kept:
            raise NoSuchDialogError(f"{server} has no dialog {dialog_id}, and has kept none")
        for record in kept[:MAX_RECORDS]:
            add(record)
        if not is_over:
            await _go_on(records, kept, add)


def _is_over(
    dialog_id: str, kept: Sequence[TapRecord], open_dialogs: Mapping[str, str] | None
) -> bool:
    """Return whether nothing more will come; None for the open dialogs if nobody has told them."""
    is_closed = open_dialogs is not None and dialog_id not in open_dialogs
    # Not the last one: a late command is answered after it, and clocks differ.
    return is_closed or any(record.kind == "end" for record in kept)


async def _go_on(
    records: AsyncIterator[TapRecord], kept: list[TapRecord], add: Callable[[TapRecord], None]
) -> None:
    """Add records until the end, without those that were kept meanwhile as well."""
    # Their messages may differ: those that are kept are masked.
    seen = {(record.kind, record.at) for record in kept}
    count = len(kept)
    async for record in records:
        if (record.kind, record.at) not in seen:
            add(record)
            count += 1
        if record.kind == "end" or count >= MAX_RECORDS:
            return


async def _located(bus: Bus, configured: Sequence[str], call: str) -> tuple[ServerId, str]:
    """Return the server and the dialog of a call, by any of its ids; of several the newest."""
    with suppress(NoSuchDialogError):
        return server_of(call, configured), call
    calls = [facts for facts in await calls_of_servers(bus, configured) if facts.has_id(call)]
    if not calls:
        raise _no_such(call, configured)
    found = max(calls, key=lambda facts: facts.started_at)
    return ServerId(found.server_id), found.dialog_id


def server_of(dialog_id: str, configured: Sequence[str]) -> ServerId:
    """Return the server of a dialog, by its id; a UUID names none, but can be checked for some.

    Raises:
        NoSuchDialogError: it is no dialog's id, or a UUID of none of the configured servers.
    """
    for server in (*configured, dialog_id.partition(".")[0]):
        with suppress(IllegalSubjectTokenError):
            known = ids.server_id(server)
            ids.dialog_id(known, dialog_id)
            return known
    raise _no_such(dialog_id, configured)


def _no_such(call: str, configured: Sequence[str]) -> NoSuchDialogError:
    servers = " or ".join(configured)
    return NoSuchDialogError(
        f"{call} is not a dialog of {servers}, nor has a call that was kept this id; "
        "if it is one of another server, set server_id to that"
    )


def silent(_: TapRecord) -> None:
    """Print nothing."""


def live(show: Callable[[str], None]) -> Callable[[TapRecord], None]:
    """Return a callback that prints each record as a line of a ladder, header first."""
    begun_at: list[float] = []
    made = steps.Steps()

    def show_record(record: TapRecord) -> None:
        if not begun_at:
            begun_at.append(record.at)
            show("\n".join(text.head(record.dialog_id)))
        show(text.line(made.next(record), begun_at[0]))

    return show_record
