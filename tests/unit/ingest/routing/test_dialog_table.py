"""The table of dialogs: how they begin, end and are forgotten; `test_router.py` has the events."""

from typing import Final

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import EMPTY_SECONDS, TELL_SECONDS, DialogTable
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

SERVER: Final = ServerId("s")
DIALOG: Final = DialogId("s.0123456789abcdef")
OTHER: Final = DialogId("s.fedcba9876543210")
GRACE_SECONDS: Final = 10.0


def table() -> DialogTable:
    return DialogTable(SERVER, grace_seconds=GRACE_SECONDS)


def opened(dialogs: DialogTable, channel: str = "c") -> Dialog:
    """A dialog with one channel."""
    dialog = dialogs.open(DIALOG, "demo", channel, announce=True, now=0)
    dialogs.adopt(dialog, {channel: True})
    return dialog


def registration(
    name: str, *, of: DialogId = OTHER, kind: ObjectKind = "channel", release: bool = False
) -> ObjectRegistration:
    return ObjectRegistration(of, kind, name, release=release)


def test_dialog_is_reported_then_forgotten_and_leaves_nothing_behind() -> None:
    dialogs = table()
    dialog = opened(dialogs)
    dialogs.release(dialog, "c", 0)
    assert not dialogs.lives(DIALOG)
    assert dialogs.ended(TELL_SECONDS - 0.1) == []
    assert dialogs.ended(TELL_SECONDS) == [dialog]
    assert dialogs.ended(TELL_SECONDS) == []
    dialogs.sweep(GRACE_SECONDS - 0.1)
    assert list(dialogs) == [dialog]
    dialogs.sweep(GRACE_SECONDS)

    assert (len(dialogs), dialogs.size) == (0, 0)


def test_dialog_ends_once_for_its_first_reason() -> None:
    dialogs = table()
    dialog = opened(dialogs)
    dialogs.end(dialog, 0, "channels_gone")
    dialogs.end(dialog, 5, "asterisk_restarted")

    assert dialog.end_reason == "channels_gone"
    assert dialogs.ended(TELL_SECONDS) == [dialog]


def test_dialog_lives_as_long_as_one_of_its_channels() -> None:
    dialogs = table()
    dialog = opened(dialogs)
    dialogs.adopt(dialog, {"d": False}, {"bridge": ["b"]})
    dialogs.release(dialog, "c", 0)
    assert dialogs.lives(DIALOG)
    assert dialogs.objects.of_kind("bridge")["b"] is dialog
    dialogs.destroyed(dialog, "d", 0)

    assert not dialogs.lives(DIALOG)


def test_channel_that_has_left_is_not_counted_again() -> None:
    dialogs = table()
    dialog = opened(dialogs)
    dialogs.count(dialog, "d", entered=True)
    dialogs.release(dialog, "c", 0)
    dialogs.count(dialog, "c", entered=True)

    assert dict(dialog.channels) == {"d": True}


def test_empty_dialog_is_overdue_once_unless_a_channel_comes() -> None:
    dialogs = table()
    dialog = dialogs.open_empty(DIALOG, "demo", announce=True, now=0)
    other = dialogs.open_empty(OTHER, "demo", announce=True, now=0)
    dialogs.count(other, "c", entered=False)

    assert dialogs.overdue(EMPTY_SECONDS - 1) == []
    assert dialogs.overdue(EMPTY_SECONDS) == [dialog]
    assert dialogs.overdue(EMPTY_SECONDS) == []


def test_revived_dialog_is_neither_reported_nor_forgotten() -> None:
    dialogs = table()
    dialog = opened(dialogs)
    dialogs.end(dialog, 0, "channels_left")
    dialogs.revive(dialog, 0)

    assert dialogs.lives(DIALOG)
    assert dialogs.ended(GRACE_SECONDS) == []
    dialogs.sweep(GRACE_SECONDS)
    assert list(dialogs) == [dialog]
    assert dialogs.overdue(EMPTY_SECONDS) == [dialog]


def test_registration_opens_a_dialog_that_ends_if_its_object_is_released() -> None:
    dialogs = table()
    assert dialogs.register(registration("c"), 0)
    (dialog,) = dialogs
    assert (dialog.dialog_id, dialog.announce) == (OTHER, False)
    assert not dialogs.register(registration("c"), 0)
    assert not dialogs.register(registration("c", release=True), 0)

    assert dialog.end_reason == "not_created"
    assert not dialogs.lives(OTHER)


def test_registration_takes_no_living_channel_from_its_dialog() -> None:
    dialogs = table()
    dialog = opened(dialogs)

    assert not dialogs.register(registration("c"), 0)
    assert dialogs.objects.channels["c"] is dialog


def test_release_of_what_is_not_registered_changes_nothing() -> None:
    dialogs = table()
    dialog = opened(dialogs)
    dialogs.register(registration("c", of=DIALOG, release=True), 0)
    dialogs.register(registration("unknown", of=OTHER, release=True), 0)

    assert list(dialogs) == [dialog]
    assert dialogs.lives(DIALOG)
