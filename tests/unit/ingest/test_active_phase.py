"""The two tables of an active ingest's phases."""

from collections.abc import Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.ingest.active_phase import (
    ACTIVE,
    DEPARTURE,
    ActivePhase,
    ActiveState,
    ActiveTrigger,
    DeparturePhase,
    DepartureTrigger,
)
from ari_proxy.ingest.routing.phase import IllegalTransitionError

T = TypeVar("T")


def reachable(table: Mapping[tuple[T, Any], T], first: T) -> set[T]:
    found = {first}
    for _ in table:
        found |= {after for (before, _), after in table.items() if before in found}
    return found


def test_each_phase_can_be_reached() -> None:
    assert reachable(ACTIVE, ActivePhase.CONNECTING) == set(ActivePhase)
    assert reachable(DEPARTURE, DeparturePhase.STAYING) == set(DeparturePhase)


def test_each_trigger_leads_somewhere() -> None:
    assert {trigger for _, trigger in ACTIVE} == set(ActiveTrigger)
    assert {trigger for _, trigger in DEPARTURE} == set(DepartureTrigger)


triggers = st.lists(st.one_of(st.sampled_from(ActiveTrigger), st.sampled_from(DepartureTrigger)))


@given(triggers)
def test_walk_follows_the_tables_and_refuses_all_else(
    triggers: list[ActiveTrigger | DepartureTrigger],
) -> None:
    state = ActiveState()
    for trigger in triggers:
        before = state.phase, state.departure
        expected = (
            (ACTIVE.get((before[0], trigger)), before[1])
            if isinstance(trigger, ActiveTrigger)
            else (before[0], DEPARTURE.get((before[1], trigger)))
        )
        if None in expected:
            with pytest.raises(IllegalTransitionError, match=trigger.name):
                follow(state, trigger)
            assert (state.phase, state.departure) == before
        else:
            follow(state, trigger)
            assert (state.phase, state.departure) == expected


def follow(state: ActiveState, trigger: ActiveTrigger | DepartureTrigger) -> None:
    if isinstance(trigger, ActiveTrigger):
        state.advance(trigger)
    else:
        state.depart(trigger)


@given(st.data())
def test_walk_keeps_what_holds_in_each_phase(data: st.DataObject) -> None:
    state = ActiveState()
    had_dialogs = was_released = was_told_to_stop = False
    for _ in range(data.draw(st.integers(0, 12))):
        legal: list[ActiveTrigger | DepartureTrigger] = [
            *(trigger for before, trigger in ACTIVE if before is state.phase),
            *(trigger for before, trigger in DEPARTURE if before is state.departure),
        ]
        if not legal:
            return
        follow(state, data.draw(st.sampled_from(legal)))
        # What an ingest has had, given up or been told stays so.
        assert state.has_dialogs or not had_dialogs
        had_dialogs = state.has_dialogs
        was_released |= state.phase in {ActivePhase.RELEASED, ActivePhase.HANDED_OVER}
        was_told_to_stop |= state.departure is not DeparturePhase.STAYING
        # A connection of an ingest that has a successor would take the applications from it.
        assert not (state.may_reconnect and (was_released or was_told_to_stop))


def test_ingest_that_was_not_taken_from_stays_and_may_reconnect() -> None:
    state = ActiveState()
    for trigger in (ActiveTrigger.CONNECTED, ActiveTrigger.LOADED, ActiveTrigger.ASKED):
        assert state.may_reconnect
        state.advance(trigger)
    assert not state.may_reconnect
    state.advance(ActiveTrigger.REFUSED)

    assert state.may_reconnect
