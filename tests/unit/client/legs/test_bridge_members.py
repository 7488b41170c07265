"""Who is in a bridge, and who has left."""

import pytest

from ari_proxy.client.ari.model import Event
from ari_proxy.client.legs.bridge_members import BridgeMembers
from tests.support.client_events import bridge, channel, event


def entered(name: str, where: str = "b") -> Event:
    return event("ChannelEnteredBridge", bridge=bridge(where), channel=channel(name))


def left(name: str, where: str = "b") -> Event:
    return event("ChannelLeftBridge", bridge=bridge(where), channel=channel(name))


@pytest.fixture
def members() -> BridgeMembers:
    made = BridgeMembers("b")
    made.expect("1")
    made.expect("2")
    return made


def test_members_are_those_that_have_entered(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.take(entered("2", "other"))
    members.take(entered("stranger"))
    members.take(event("ChannelEnteredBridge", bridge=bridge("b")))
    assert members.present == ["1"]

    members.put("2")

    assert members.present == ["1", "2"]


def test_who_leaves_is_a_leaver_once(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.take(left("1", "other"))
    assert members.leavers == []

    members.take(left("1"))
    members.take(event("StasisEnd", channel=channel("1")))

    assert (members.leavers, members.present) == (["1"], [])


def test_who_is_replaced_does_not_leave(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.take(
        event("StasisStart", args=[], channel=channel("new"), replace_channel=channel("1"))
    )
    members.take(left("1"))
    members.take(entered("new"))
    assert (members.present, members.leavers) == (["new"], [])

    members.take(left("new"))

    assert members.leavers == ["new"]


def test_who_is_taken_out_is_no_leaver(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.release("1")
    members.take(left("1"))
    assert members.leavers == []


def test_channel_that_ends_has_left(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.take(event("StasisEnd", channel=channel("1")))
    members.take(event("ChannelDestroyed", cause=16, cause_txt="", channel=channel("2")))
    assert members.leavers == ["1", "2"]


def test_all_leave_a_bridge_that_is_destroyed(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.take(entered("2"))
    members.take(event("BridgeDestroyed", bridge=bridge("other")))
    assert members.leavers == []

    members.take(event("BridgeDestroyed", bridge=bridge("b")))

    assert members.leavers == ["1", "2"]


def test_bridge_is_read_again_after_a_gap(members: BridgeMembers) -> None:
    members.take(entered("1"))
    members.take(event("ProxyGap", reason="x"))
    assert members.missed.are_unread

    with members.missed.reading():
        members.read(["2"])

    assert (members.present, members.leavers) == (["2"], ["1"])
    assert not members.missed.are_unread
