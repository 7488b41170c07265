"""What is known of a channel, whatever the order of its events."""

import gc
import itertools
from typing import Any

import msgspec

from ari_proxy.client.ari.model import Event, with_sequence
from ari_proxy.client.ari.models import Channel
from ari_proxy.client.channel_state import MAX_VARIABLES, TrackedChannel, TrackedChannels
from tests.support.client_events import channel, event


def shown(name: str = "c", state: str = "Up", **fields: Any) -> dict[str, Any]:
    return {**channel(name, state), **fields}


def model(**fields: Any) -> Channel:
    return msgspec.convert(shown(**fields), Channel)


def numbered(number: int, event_type: str, **fields: Any) -> Event:
    return with_sequence(event(event_type, **fields), number)


def varset(number: int, name: str, value: str) -> Event:
    return numbered(number, "ChannelVarset", variable=name, value=value, channel=shown())


def known(*events: Event) -> TrackedChannel:
    states = TrackedChannels()
    state = states.of("c")
    for one in events:
        states.take(one)
    return state


CALLER = {"name": "Ann", "number": "100"}
LIFE = [
    numbered(1, "StasisStart", args=["a", "b"], channel=shown(state="Ring", caller=CALLER)),
    varset(2, "PIN", "1"),
    numbered(3, "ChannelStateChange", channel=shown(state="Up", caller=CALLER)),
    varset(4, "PIN", "2"),
    numbered(5, "Dial", peer=shown("x"), caller=shown(caller=CALLER), dialstatus="ANSWER"),
    numbered(
        6,
        "ChannelHangupRequest",
        channel=shown(caller=CALLER, connected={"name": "", "number": "7"}, language="de"),
    ),
]


def test_nothing_is_known_before_the_first_event() -> None:
    state = TrackedChannel("c")

    assert not state.is_known
    assert (state.state, state.language, state.args, state.variables) == ("", "", (), {})
    assert (state.caller.number, state.connected.name, state.dialplan.exten) == ("", "", "")


def test_order_of_arrival_does_not_count() -> None:
    for events in itertools.permutations(LIFE):
        state = known(*events, *events[:2])

        assert (state.state, state.language, state.args) == ("Up", "de", ("a", "b"))
        assert (state.caller.name, state.caller.number) == ("Ann", "100")
        assert state.connected.number == "7"
        assert state.dialplan.context == "default"
        assert state.variables == {"PIN": "2"}


def test_events_of_other_channels_do_not_count() -> None:
    state = known(
        numbered(1, "StasisStart", args=["a"], channel=shown()),
        numbered(2, "ChannelStateChange", channel=shown("x", "Ringing")),
        numbered(3, "ChannelVarset", variable="GLOBAL", value="1"),
        numbered(4, "StasisStart", args=["b"], channel=shown("x"), replace_channel=shown()),
    )

    assert (state.state, state.args, state.variables) == ("Up", ("a",), {})


def test_variables_that_asterisk_is_told_to_carry_are_known() -> None:
    state = known(
        numbered(1, "StasisStart", args=[], channel=shown(channelvars={"A": "1", "B": ""})),
        varset(2, "A", "2"),
    )

    assert state.variables == {"A": "2", "B": ""}


def test_transfer_tells_of_the_channels_that_it_concerns() -> None:
    state = known(
        numbered(
            1,
            "ChannelTransfer",
            refer_to={"requested_destination": {"destination": "9"}},
            referred_by={"source_channel": shown(state="Up")},
        )
    )

    assert state.state == "Up"


def test_variables_are_bounded() -> None:
    names = [f"V{number}" for number in range(MAX_VARIABLES + 1)]
    states = TrackedChannels()
    state = states.of("c")
    states.take(varset(1, names[0], "x"))
    states.take(numbered(2, "ProxyGap", reason="websocket_lost"))
    for number, name in enumerate(names[1:], 3):
        states.take(varset(number, name, "x"))

    assert [*state.variables] == names[1:]
    assert state.asked_variables == []


def test_after_a_gap_it_is_read_again() -> None:
    states = TrackedChannels()
    state = states.of("c")
    for one in (*LIFE[:2], varset(3, "EMPTY", ""), varset(4, "GONE", "1")):
        states.take(one)
    assert (state.is_uncertain, states.uncertain) == (False, [])

    states.take(numbered(5, "ProxyGap", reason="websocket_lost"))
    assert (state.is_uncertain, states.uncertain) == (True, [state])
    assert state.asked_variables == ["GONE", "PIN"]
    state.read(model(state="Up"))
    state.read_variables({"PIN": "3"})

    assert not state.is_uncertain
    assert (state.state, state.args, state.variables) == ("Up", ("a", "b"), {"PIN": "3"})


def test_events_after_a_gap_are_newer_than_what_is_read() -> None:
    states = TrackedChannels()
    state = states.of("c")
    for one in (*LIFE[:2], numbered(3, "ProxyGap", reason="websocket_lost")):
        states.take(one)
    states.take(varset(4, "PIN", "newer"))
    state.read(model(state="Ring"))
    state.read_variables({"PIN": "older"})

    assert (state.state, state.variables) == ("Up", {"PIN": "newer"})
    assert not state.is_uncertain


def test_what_was_known_of_a_channel_that_is_gone_stays() -> None:
    states = TrackedChannels()
    state = states.of("c")
    for one in (*LIFE[:4], numbered(5, "ProxyGap", reason="websocket_lost")):
        states.take(one)
    state.read(None)

    assert not state.is_uncertain
    assert (state.state, state.variables) == ("Up", {"PIN": "2"})


def test_channel_of_which_nothing_was_told_is_read() -> None:
    state = TrackedChannel("c")
    state.read(model(state="Ring"))
    assert state.state == "Ring"


def test_states_that_nobody_has_are_forgotten() -> None:
    states = TrackedChannels()
    states.of("c").read(model())
    gc.collect()

    assert not states.of("c").is_known
