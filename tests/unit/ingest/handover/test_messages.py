"""What is handed over from one ingest to the next."""

import msgspec
import pytest

from ari_proxy.ingest.handover import messages as records
from ari_proxy.ingest.handover.messages import PAGE_BYTES, HeldRecord, SnapshotPage
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import TO_SET_UP, DeliveryPhase, DeliveryTrigger, LifePhase
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

SERVER = ServerId("s")


def table() -> DialogTable:
    return DialogTable(SERVER, grace_seconds=10)


def handed_over(old: DialogTable, new: DialogTable) -> None:
    """Give the dialogs of one table to another one, over the wire."""
    pages = records.pages(records.records_of(old), gap_since=None)
    sent = [msgspec.json.encode(page) for page in pages]
    received = [msgspec.json.decode(page, type=SnapshotPage) for page in sent]
    assert [page.is_last for page in received] == [False] * (len(sent) - 1) + [True]
    records.load(new, [record for page in received for record in page.records], 100)


def test_dialogs_arrive_as_they_were() -> None:
    old, new = table(), table()
    open_ = old.open(DialogId("s.0123456789abcdef"), "demo", "c1", announce=True, now=0)
    objects: dict[ObjectKind, list[str]]
    objects = {"bridge": ["bridge"], "playback": ["playback"], "recording": ["recording"]}
    old.adopt(open_, {"c1": True, "leg": False}, objects)
    for number in range(7):
        open_.next_sequence()
        open_.hold(b"%d" % number)
    open_.advance(DeliveryTrigger.ACCEPTED)
    open_.deliver(0)
    waiting = old.open(DialogId("s.fedcba9876543210"), "other", "c2", announce=True, now=0)
    old.adopt(waiting, {"c2": True})
    waiting.adopt(2, b'{"type":"StasisStart"}')
    waiting.hold(b'{"a":"\xc3\xa4"}')
    waiting.hold(b"{}")
    over = old.open(DialogId("s.aaaaaaaaaaaaaaaa"), "demo", "c3", announce=True, now=0)
    old.adopt(over, {"c3": True})
    old.release(over, "c3", 0)
    told = old.open(DialogId("s.bbbbbbbbbbbbbbbb"), "demo", "c4", announce=True, now=0)
    old.end(told, 0, "no_channel")
    told.note_end_reported()

    handed_over(old, new)

    got = new.dialogs[open_.dialog_id]
    assert (got.application, got.channel_id, got.sequence) == ("demo", "c1", 7)
    assert (got.channels, got.delivery) == ({"c1": True, "leg": False}, DeliveryPhase.OPEN)
    bound = (
        new.objects.channels["leg"],
        new.objects.of_kind("bridge")["bridge"],
        new.objects.of_kind("playback")["playback"],
    )
    assert {*bound, new.objects.of_kind("recording")["recording"]} == {got}
    found = new.dialogs[waiting.dialog_id]
    assert (found.delivery, list(found.held)) == (DeliveryPhase.ADOPTED, list(waiting.held))
    assert (found.sequence, found.lost_start) == (2, waiting.lost_start)
    assert new.dialogs[over.dialog_id].is_ended
    assert new.objects.channels["c3"].released == {"c3"}
    ends = {d.dialog_id: (d.end_reason, d.life) for d in new.ended(111)}
    assert ends == {
        over.dialog_id: ("channels_left", LifePhase.ENDED),
        told.dialog_id: ("no_channel", LifePhase.REPORTED),
    }
    new.sweep(111)
    assert list(new.dialogs) == [open_.dialog_id, waiting.dialog_id]


def test_object_that_was_registered_with_the_new_one_meanwhile_stays() -> None:
    old, new = table(), table()
    dialog_id = DialogId("s.0123456789abcdef")
    dialog = old.open(dialog_id, "demo", "c1", announce=True, now=0)
    old.adopt(dialog, {"c1": True})
    new.register(ObjectRegistration(dialog_id, "bridge", "named"), 99)

    handed_over(old, new)

    assert new.objects.of_kind("bridge")["named"] is new.objects.channels["c1"]
    new.sweep(1000)
    assert list(new.dialogs) == [dialog_id]


def test_much_travels_in_pages_and_nothing_in_an_empty_one() -> None:
    old, new = table(), table()
    dialog = old.open(DialogId("s.0123456789abcdef"), "demo", "c", announce=True, now=0)
    for number in range(1000, 2000):
        dialog.hold(b"%d" % number * 1000)

    pages = records.pages(records.records_of(old), gap_since=3.5)
    handed_over(old, new)

    assert len(pages) > 10
    assert {page.gap_since for page in pages} == {3.5}
    assert max(len(msgspec.json.encode(page)) for page in pages) < PAGE_BYTES * 1.1
    assert list(new.dialogs[dialog.dialog_id].held) == list(dialog.held)
    assert records.pages([], gap_since=None) == [SnapshotPage()]


@pytest.mark.parametrize(
    ("triggers", "announce"),
    [
        ([], True),
        ([DeliveryTrigger.ADOPTED], True),
        ([DeliveryTrigger.HELD], True),
        ([DeliveryTrigger.HELD, DeliveryTrigger.ACCEPTED], True),
        ([DeliveryTrigger.HELD, DeliveryTrigger.ACCEPTED, DeliveryTrigger.DELIVERED], True),
        ([DeliveryTrigger.HELD, DeliveryTrigger.DELIVERED], False),
        ([DeliveryTrigger.HELD, DeliveryTrigger.GIVEN_UP], True),
        ([DeliveryTrigger.HELD, DeliveryTrigger.ACCEPTED, DeliveryTrigger.GIVEN_UP], True),
    ],
)
def test_each_phase_arrives_as_it_was(triggers: list[DeliveryTrigger], *, announce: bool) -> None:
    old, new = table(), table()
    dialog = old.open(DialogId("s.0123456789abcdef"), "demo", "c", announce=announce, now=0)
    for trigger in triggers:
        dialog.advance(trigger)
    if dialog.delivery in TO_SET_UP:
        dialog.hold(b"{}")

    handed_over(old, new)

    found = new.dialogs[dialog.dialog_id]
    assert found.delivery is dialog.delivery
    assert found.is_known_to_application == dialog.is_known_to_application


def test_channel_that_has_moved_on_to_another_application_belongs_to_its_new_dialog() -> None:
    old, new = table(), table()
    first = old.open(DialogId("s.0123456789abcdef"), "demo", "c1", announce=True, now=0)
    old.adopt(first, {"c1": True, "leg": True})
    old.objects.bind_former(first, "c1")
    old.release(first, "c1", 0)
    second = old.open(DialogId("s.fedcba9876543210"), "other", "c1", announce=True, now=0)
    old.adopt(second, {"c1": True})

    handed_over(old, new)

    assert new.objects.channels["c1"] is new.dialogs[second.dialog_id]
    assert new.objects.channels["leg"] is new.dialogs[first.dialog_id]


@pytest.mark.parametrize("is_first", [True, False], ids=["no dialog", "open dialog"])
def test_message_that_no_dialog_waits_for_is_left_out(*, is_first: bool) -> None:
    old, new = table(), table()
    dialog = old.open(DialogId("s.0123456789abcdef"), "demo", "c1", announce=True, now=0)
    dialog.hold(b"1")
    dialog.advance(DeliveryTrigger.ACCEPTED)
    dialog.deliver(0)
    stray = HeldRecord('{"a":1}')
    found = list(records.records_of(old))

    (loaded,) = records.load(new, [stray, *found] if is_first else [*found, stray], 100)

    assert (loaded.dialog_id, len(loaded.held)) == (dialog.dialog_id, 0)


def ended_twice(of: DialogTable, dialog_id: DialogId) -> None:
    """A command begins a dialog, Asterisk refuses it, and the client is told."""
    of.register(ObjectRegistration(dialog_id, "channel", "mine"), 0)
    of.register(ObjectRegistration(dialog_id, "channel", "mine", release=True), 0)
    for dialog in of.ended(100):
        dialog.note_end_reported()


def test_dialog_whose_end_both_ingests_have_told_is_taken() -> None:
    old, new = table(), table()
    dialog_id = DialogId("s.0123456789abcdef")
    for known in (old, new):
        ended_twice(known, dialog_id)

    handed_over(old, new)

    assert new.dialogs[dialog_id].life is LifePhase.REPORTED


def test_dialog_that_lives_in_the_old_one_lives_on() -> None:
    old, new = table(), table()
    dialog_id = DialogId("s.0123456789abcdef")
    old.adopt(old.open(dialog_id, "demo", "c", announce=True, now=0), {"c": True})
    for known in (old, new):
        ended_twice(known, dialog_id)

    handed_over(old, new)
    new.ended(1000)
    new.sweep(1000)

    assert new.objects.channels["c"].life is LifePhase.LIVE


def test_events_held_here_meanwhile_are_told_apart_from_those_that_are_handed_over() -> None:
    old, new = table(), table()
    dialog_id = DialogId("s.0123456789abcdef")
    former = old.open(dialog_id, "demo", "c", announce=False, now=0)
    old.adopt(former, {"c": True})
    former.hold(b"1")
    new.register(ObjectRegistration(dialog_id, "channel", "c"), 0)
    new.dialogs[dialog_id].hold(b"2")

    loaded = records.load(new, records.records_of(old), 0)

    ((dialog, held),) = loaded.items()
    assert (list(dialog.held), held) == ([b"1"], (b"2",))
