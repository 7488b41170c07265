"""The life of a channel, as events tell it."""

from typing import Any

import msgspec
import pytest

from ari_proxy.client.ari.model import Event
from ari_proxy.client.ari.models import Channel
from ari_proxy.client.external.channel_life import ChannelLife
from tests.support.client_events import channel, event


def life(*events: Event) -> ChannelLife:
    found = ChannelLife("m")
    for one in events:
        found.take(one)
    return found


def of(event_type: str, name: str = "m", **fields: Any) -> Event:
    return event(event_type, channel=channel(name), **fields)


DESTROYED: dict[str, Any] = {"cause": 3, "cause_txt": "No route to destination"}


def test_begins_with_its_stasis_start() -> None:
    assert not life(of("StasisStart", "c", args=[])).has_begun
    assert life(of("StasisStart", args=[])).has_begun


def test_channel_that_never_enters_the_application() -> None:
    found = life(of("ChannelDestroyed", **DESTROYED))
    assert (found.is_over, found.has_begun, found.cause) == (True, False, 3)


def test_end_of_another_channel() -> None:
    assert not life(of("StasisEnd", "c"), of("ChannelDestroyed", "c", **DESTROYED)).is_over


@pytest.mark.parametrize(
    ("events", "who"),
    [
        ([of("StasisEnd")], "peer"),
        ([of("ChannelHangupRequest", cause=16), of("StasisEnd")], "peer"),
        ([of("ChannelHangupRequest", cause=32, soft=True), of("StasisEnd")], "command"),
        ([event("ProxyDialogEnded", reason="not_recovered")], "proxy"),
    ],
)
def test_who_has_ended_it(events: list[Event], who: str) -> None:
    found = life(*events)
    assert (found.is_over, found.who) == (True, who)


def test_cause_of_nothing_is_none() -> None:
    assert life(of("ChannelDestroyed", cause=0, cause_txt="Unknown")).cause is None


def test_it_is_to_be_read_after_a_gap() -> None:
    found = life(event("ProxyGap", reason="websocket_lost"))
    assert found.missed.are_unread
    found.read(msgspec.convert(channel("m"), Channel))
    assert (found.has_begun, found.is_over) == (True, False)
    found.read(None)
    assert found.is_over


def test_channel_that_is_read_before_it_is_connected() -> None:
    found = life()
    dialplan = channel("m")["dialplan"] | {"app_name": "AppDial2"}
    found.read(msgspec.convert(channel("m", "Down") | {"dialplan": dialplan}, Channel))
    assert not found.has_begun
