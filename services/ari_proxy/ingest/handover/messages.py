"""The dialogs that one ingest hands over to the next one, so that no event is lost. Sans-I/O.

A record is a dialog, or an event that waits for a dialog's application. They travel in pages, since
a bus takes messages of about 1 MB.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import BEFORE_OPEN, DeliveryPhase, LifePhase
from ari_proxy.ingest.routing.proxy_events import EndReason
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import ObjectKind

#: Bytes of records in a page, unless one record has more.
PAGE_BYTES: Final = 200_000
#: Instead of a page number: the successor goes on without the dialogs and asks no more.
GOES_ON: Final = -1


class DialogRecord(msgspec.Struct, frozen=True, tag="dialog"):
    """One dialog. An ingest of another version reads it, so its phases are written as flags."""

    dialog_id: str
    application: str
    channel_id: str
    sequence: int
    channels: dict[str, bool]
    released: tuple[str, ...]
    #: Names of all objects that belong to it, by kind.
    objects: dict[ObjectKind, list[str]]
    announce: bool
    is_announced: bool
    is_abandoned: bool
    is_ended: bool
    #: False while events wait for its application.
    is_open: bool
    #: Of an adopted one (`Dialog.lost_start`); None of all others.
    lost_start: str | None = None
    end_reason: EndReason = "channels_left"
    is_end_told: bool = False
    #: Whether an application may have its AppStart, whose confirmation was lost.
    may_be_taken: bool = False
    #: Whether it is on its way to another instance, since its own has gone.
    is_reassigned: bool = False


class HeldRecord(msgspec.Struct, frozen=True, tag="held"):
    """An event that waits for the application of the dialog before it."""

    payload: str


Record = DialogRecord | HeldRecord


class SnapshotPage(msgspec.Struct, frozen=True):
    """A part of what is handed over."""

    #: Why there is nothing, or ''.
    error: str = ""
    records: tuple[Record, ...] = ()
    is_last: bool = True
    #: Since when the sender may have missed events, in Unix time (or UNKNOWN); None if it has not.
    gap_since: float | None = None
    #: Another ingest takes over just now.
    is_busy: bool = False


class HandoverRequest(msgspec.Struct, frozen=True):
    """Asks for a page (the first request collects all dialogs), or says that none is wanted."""

    by: str
    page: int


def records_of(table: DialogTable) -> Iterator[Record]:
    """Yield all dialogs with what waits for each."""
    for dialog in table:
        yield _record(dialog)
        for payload in dialog.held:
            yield HeldRecord(payload.decode())


def _record(dialog: Dialog) -> DialogRecord:
    return DialogRecord(
        dialog_id=dialog.dialog_id,
        application=dialog.application,
        channel_id=dialog.channel_id,
        sequence=dialog.sequence,
        channels=dict(dialog.channels),
        released=tuple(dialog.released or ()),
        objects=dialog.objects,
        announce=dialog.announce,
        is_announced=dialog.announce and dialog.is_known_to_application,
        is_abandoned=dialog.is_abandoned,
        is_ended=dialog.is_ended,
        is_open=dialog.delivery is DeliveryPhase.OPEN,
        lost_start=dialog.lost_start.decode() if dialog.delivery is DeliveryPhase.ADOPTED else None,
        end_reason=dialog.end_reason,
        is_end_told=dialog.life is LifePhase.REPORTED,
        may_be_taken=dialog.may_be_taken,
        is_reassigned=dialog.is_reassigned,
    )


def _delivery_of(record: DialogRecord) -> DeliveryPhase:
    """Return the phase in a record; `OFFERED`, if events wait, follows from `PENDING`."""
    if record.is_abandoned:
        is_known = record.is_announced or not record.announce
        return DeliveryPhase.DESERTED if is_known else DeliveryPhase.UNWANTED
    if record.is_open:
        return DeliveryPhase.OPEN
    if record.lost_start is not None:
        return DeliveryPhase.ADOPTED
    return DeliveryPhase.ACCEPTED if record.is_announced else DeliveryPhase.PENDING


def pages(
    records: Iterable[Record], *, gap_since: float | None, page_bytes: int = PAGE_BYTES
) -> list[SnapshotPage]:
    """Return the records in pages, at least one."""
    result: list[list[Record]] = [[]]
    size = 0
    for record in records:
        record_bytes = len(msgspec.json.encode(record))
        size += record_bytes
        if result[-1] and size > page_bytes:
            result.append([])
            size = record_bytes
        result[-1].append(record)
    last = len(result) - 1
    return [
        SnapshotPage(records=tuple(page), is_last=number == last, gap_since=gap_since)
        for number, page in enumerate(result)
    ]


def dialog_ids(records: Iterable[Record]) -> list[str]:
    """Return the ids of the dialogs in the records."""
    return [record.dialog_id for record in records if isinstance(record, DialogRecord)]


def load(
    table: DialogTable, records: Iterable[Record], now: float
) -> dict[Dialog, tuple[bytes, ...]]:
    """Add the dialogs of another ingest to the table, in the state that they had there.

    An executor may have registered objects of a dialog here already: those stay.

    Returns:
        The dialogs, each with the events that were held here: they come behind the others.
    """
    held: dict[Dialog, tuple[bytes, ...]] = {}
    dialog: Dialog | None = None
    for record in records:
        if isinstance(record, DialogRecord):
            dialog = _opened(table, record, now)
            held[dialog] = _restore(table, dialog, record, now)
        elif dialog is not None and dialog.delivery in BEFORE_OPEN:
            dialog.hold(record.payload.encode())
    return held


def _opened(table: DialogTable, record: DialogRecord, now: float) -> Dialog:
    dialog_id = DialogId(record.dialog_id)
    dialog = table.dialogs.get(dialog_id)
    if dialog is not None:
        return dialog
    return table.open_empty(dialog_id, record.application, announce=record.announce, now=now)


def _restore(
    table: DialogTable, dialog: Dialog, record: DialogRecord, now: float
) -> tuple[bytes, ...]:
    if not record.is_ended:
        table.revive(dialog, now)  # What ended it here was not all there is of it.
    held = dialog.restore(
        application=record.application,
        channel_id=record.channel_id,
        announce=record.announce,
        sequence=record.sequence,
        released=record.released,
        delivery=_delivery_of(record),
        lost_start=(record.lost_start or "").encode(),
        may_be_taken=record.may_be_taken,
    )
    dialog.note_reassignment(is_reassigned=record.is_reassigned)
    table.adopt(dialog, record.channels, record.objects)
    if record.is_ended:
        table.end(dialog, now, record.end_reason)
        if record.is_end_told and dialog.life is LifePhase.ENDED:
            dialog.note_end_reported()
    return held
