"""The two tables of a dialog's phases."""

from collections.abc import Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.ingest.routing import phase
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import (
    DeliveryPhase,
    DeliveryTrigger,
    IllegalTransitionError,
    LifePhase,
    LifeTrigger,
)
from ari_proxy.protocol.ids import DialogId

T = TypeVar("T")


def dialog(*, announce: bool = True) -> Dialog:
    return Dialog(DialogId("s.0123456789abcdef"), "demo", "c", announce=announce, now=0)


def reachable(table: Mapping[tuple[T, Any], T], first: T) -> set[T]:
    found = {first}
    for _ in table:
        found |= {after for (before, _), after in table.items() if before in found}
    return found


def test_each_phase_can_be_reached() -> None:
    assert reachable(phase.DELIVERY, DeliveryPhase.PENDING) == set(DeliveryPhase)
    offered = reachable(phase.LIFE, LifePhase.UNCLAIMED)
    assert offered == set(LifePhase)
    assert reachable(phase.LIFE, LifePhase.LIVE) == offered - phase.OFFERED_CALL


def test_each_trigger_leads_somewhere() -> None:
    assert {trigger for _, trigger in phase.DELIVERY} == set(DeliveryTrigger)
    assert {trigger for _, trigger in phase.LIFE} == set(LifeTrigger)


@given(st.sampled_from(DeliveryPhase), st.sampled_from(DeliveryTrigger))
def test_delivery_goes_as_the_table_says_or_is_refused(
    before: DeliveryPhase, trigger: DeliveryTrigger
) -> None:
    expected = phase.DELIVERY.get((before, trigger))
    if expected is not None:
        assert phase.after(phase.DELIVERY, before, trigger) is expected
        return
    with pytest.raises(IllegalTransitionError, match=trigger.name):
        phase.after(phase.DELIVERY, before, trigger)


@given(st.sampled_from(LifePhase), st.sampled_from(LifeTrigger))
def test_life_goes_as_the_table_says_or_is_refused(before: LifePhase, trigger: LifeTrigger) -> None:
    expected = phase.LIFE.get((before, trigger))
    if expected is not None:
        assert phase.after(phase.LIFE, before, trigger) is expected
        return
    with pytest.raises(IllegalTransitionError, match=trigger.name):
        phase.after(phase.LIFE, before, trigger)


@given(st.lists(st.sampled_from(DeliveryTrigger)), st.booleans())
def test_walk_keeps_what_holds_in_each_phase(
    triggers: list[DeliveryTrigger], announce: bool
) -> None:
    walked = dialog(announce=announce)
    for trigger in triggers:
        before = walked.delivery
        if (before, trigger) not in phase.DELIVERY:
            continue
        walked.advance(trigger)
        places = walked.delivery in phase.BEFORE_OPEN, walked.is_abandoned
        assert sum(places) + (walked.delivery is DeliveryPhase.OPEN) == 1
        if before is DeliveryPhase.ACCEPTED:  # Once an application has it, it stays known.
            assert walked.is_known_to_application


def test_events_wait_in_order_until_somebody_listens() -> None:
    held = dialog()
    held.hold(b"1")
    held.hold(b"2")
    assert (held.delivery, held.held.first) == (DeliveryPhase.OFFERED, b"1")
    held.advance(DeliveryTrigger.ACCEPTED)
    assert (held.deliver(7), held.delivery, held.heard_at) == ((b"1", b"2"), DeliveryPhase.OPEN, 7)
    assert len(held.held) == 0


def test_adopted_one_that_nobody_has_heard_of_begins_with_its_stasis_start() -> None:
    adopted = dialog()
    adopted.adopt(5, b"start")
    adopted.hold(b"gap")
    adopted.announce_again()
    assert (adopted.delivery, list(adopted.held)) == (DeliveryPhase.OFFERED, [b"start", b"gap"])


def test_oldest_events_behind_the_probe_go_first() -> None:
    held = dialog()
    for event in (b"first", b"second", b"third"):
        held.hold(event)
    assert held.held.trim(len(b"firstthird")) == [b"second"]
    assert held.held.trim(0) == [b"third"]
    assert held.held.trim(0) == []
    assert list(held.held) == [b"first"]


def test_adopted_one_without_a_start_begins_with_what_waits() -> None:
    adopted = dialog()
    adopted.adopt(5)
    adopted.hold(b"gap")
    adopted.announce_again()
    assert list(adopted.held) == [b"gap"]


def test_call_is_served_while_it_has_channels_and_an_application() -> None:
    call = dialog()
    assert not call.is_served
    call.hold(b"1")
    call.advance(DeliveryTrigger.ACCEPTED)
    call.deliver(1)
    call.note_heard(2)
    assert (call.heard_at, call.is_served) == (2, False)
    call.count("c", entered=True)
    assert call.is_served
    call.end("channels_left")
    assert not call.is_served


def test_application_of_a_dialog_is_the_first_that_a_channel_enters() -> None:
    ringing = Dialog(DialogId("s.0123456789abcdef"), "", "", announce=False, now=0)
    ringing.enter("demo")
    ringing.enter("other")
    assert ringing.application == "demo"
