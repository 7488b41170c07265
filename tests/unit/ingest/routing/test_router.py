import json
from typing import Any

import pytest

from ari_proxy.ari import events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import EMPTY_SECONDS, TELL_SECONDS, DialogTable
from ari_proxy.ingest.routing.router import Router
from ari_proxy.protocol import ids
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration
from tests.support.golden import recorded

GRACE = 10.0


class Routing:
    """A router with a clock, and events by their fields."""

    def __init__(self, *, grace_seconds: float = GRACE, claims: bool = False) -> None:
        self.dialogs = DialogTable(ServerId("s"), grace_seconds=grace_seconds)
        self.router = Router(ServerId("s"), self.dialogs, claims=claims)
        self.now = 0.0

    def __call__(self, event_type: str, application: str = "demo", **fields: Any) -> list[Dialog]:
        event: dict[str, Any] = {"type": event_type, "application": application}
        for name, value in fields.items():
            event[name] = {"id": value} if isinstance(value, str) else value
        return list(self.router.route(events.decode(json.dumps(event)), self.now))

    def start(self, channel: str, application: str = "demo") -> Dialog:
        (dialog,) = self("StasisStart", application, channel=channel)
        return dialog

    def register(
        self, dialog_id: DialogId, name: str, kind: ObjectKind = "channel", *, release: bool = False
    ) -> bool:
        return self.dialogs.register(
            ObjectRegistration(dialog_id, kind, name, release=release), self.now
        )

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.dialogs.sweep(self.now)


@pytest.fixture
def route() -> Routing:
    return Routing()


def test_stasis_start_of_an_unbound_channel_starts_a_dialog(route: Routing) -> None:
    dialog = route.start("c1")

    assert dialog.announce
    assert (dialog.application, dialog.channel_id) == ("demo", "c1")
    assert dialog.dialog_id.startswith("s.")


def test_events_of_a_channel_go_to_its_dialog(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")

    assert route("ChannelDtmfReceived", channel="c1") == [first]
    assert route("ChannelVarset", channel="c2") == [second]
    assert route("ChannelVarset", channel="c3") == []


def test_second_stasis_start_of_a_bound_channel_starts_no_dialog(route: Routing) -> None:
    dialog = route.start("c1")

    assert route("StasisStart", channel="c1") == [dialog]
    assert len(route.dialogs) == 1


def test_object_that_we_named_routes_without_lookup(route: Routing) -> None:
    dialog = route.start("c1")
    leg, bridge, playback = (ids.new_object_id(dialog.token) for _ in range(3))

    assert route("Dial", peer=leg) == [dialog]
    assert route("StasisStart", channel=leg) == [dialog]
    assert route("ChannelEnteredBridge", channel=leg, bridge={"id": bridge}) == [dialog]
    assert route("BridgeDestroyed", bridge={"id": bridge}) == [dialog]
    unknown_target = {"id": playback, "target_uri": "channel:unknown"}
    assert route("PlaybackStarted", playback=unknown_target) == [dialog]


def test_dialog_ends_with_its_last_channel_not_with_one_leg(route: Routing) -> None:
    dialog = route.start("c1")
    leg = ids.new_object_id(dialog.token)
    route("StasisStart", channel=leg)

    route("StasisEnd", channel="c1")
    assert not dialog.is_ended
    route("ChannelDestroyed", channel=leg)

    assert dialog.is_ended
    assert route.dialogs.ended(TELL_SECONDS) == [dialog]


def test_leg_that_still_rings_keeps_the_dialog(route: Routing) -> None:
    dialog = route.start("c1")
    leg = ids.new_object_id(dialog.token)
    route("Dial", peer=leg)

    route("StasisEnd", channel="c1")

    assert not dialog.is_ended


def test_late_events_reach_an_ended_dialog_until_the_grace_period_is_over(route: Routing) -> None:
    dialog = route.start("c1")
    route("StasisEnd", channel="c1")

    route.later(GRACE - 1)
    assert route("ChannelDestroyed", channel="c1") == [dialog]
    route.later(2)

    assert route("ChannelVarset", channel="c1") == []
    assert (len(route.dialogs), len(route.dialogs.objects)) == (0, 0)


def test_channel_that_comes_back_starts_a_new_dialog(route: Routing) -> None:
    first = route.start("c1")
    route("StasisEnd", channel="c1")
    second = route.start("c1")

    assert second is not first
    assert route("ChannelVarset", channel="c1") == [second]
    route.later(GRACE + 1)
    assert route("ChannelVarset", channel="c1") == [second]


def test_leg_that_comes_back_to_a_living_dialog_starts_a_new_one(route: Routing) -> None:
    dialog = route.start("c1")
    leg = ids.new_object_id(dialog.token)
    route("StasisStart", channel=leg)
    route("StasisEnd", channel=leg)

    assert route.start(leg) is not dialog
    assert not dialog.is_ended


def test_replacing_channel_takes_over_the_dialog(route: Routing) -> None:
    dialog = route.start("old")

    assert route("StasisStart", channel="new", replace_channel="old") == [dialog]
    assert route("StasisEnd", channel="old") == [dialog]

    assert not dialog.is_ended
    assert route("ChannelVarset", channel="new") == [dialog]


def test_moved_channel_has_a_dialog_per_application(route: Routing) -> None:
    first = route.start("c1", "one")
    route("StasisEnd", "one", channel="c1")
    second = route.start("c1", "two")

    assert route("ChannelHangupRequest", "one", channel="c1") == [first]
    assert route("ChannelHangupRequest", "two", channel="c1") == [second]
    route.later(GRACE + 1)
    assert route("ChannelVarset", "one", channel="c1") == [second]
    assert not route.router._former


def test_event_about_two_dialogs_goes_to_both_once(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")

    assert set(route("Dial", caller="c1", peer="c2")) == {first, second}
    assert route("Dial", caller="c1", peer="c1") == [first]


def test_bridge_that_nobody_has_goes_to_the_dialogs_of_its_channels(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")

    bridge = {"id": "foreign", "channels": ["c1", "c2", "x"]}
    assert set(route("BridgeCreated", bridge=bridge)) == {first, second}


@pytest.mark.parametrize("event_type", ["RecordingStarted", "RecordingFinished"])
def test_recordings_go_to_the_dialog_of_their_target(route: Routing, event_type: str) -> None:
    dialog = route.start("c1")

    assert route(event_type, recording={"name": "r", "target_uri": "channel:c1"}) == [dialog]


def test_peer_half_shares_the_dialog_but_enters_stasis_as_a_call_of_its_own(route: Routing) -> None:
    dialog = route.start("c1")
    leg = ids.new_object_id(dialog.token)
    route("Dial", peer=leg)

    assert route("ChannelDialplan", channel=leg + ";2") == [dialog]
    other = route.start(leg + ";2")

    assert other is not dialog
    assert route("ChannelVarset", channel=leg + ";2") == [other]


def test_registered_object_routes_before_any_answer(route: Routing) -> None:
    dialog = route.start("c1")
    route.dialogs.register(ObjectRegistration(dialog.dialog_id, "channel", "mine"), route.now)
    route.dialogs.register(ObjectRegistration(dialog.dialog_id, "bridge", "room"), route.now)

    assert route("StasisStart", channel="mine") == [dialog]
    assert route("BridgeDestroyed", bridge={"id": "room"}) == [dialog]


def test_registered_dialog_begins_with_its_channel(route: Routing) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    route.dialogs.register(ObjectRegistration(name, "channel", "mine", "demo"), route.now)

    (dialog,) = route("Dial", peer="mine")

    assert (dialog.dialog_id, dialog.application, dialog.channel_id) == (name, "demo", "mine")
    assert dialog.announce


def test_dialog_of_the_clients_choice_is_not_announced(route: Routing) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    route.dialogs.register(ObjectRegistration(name, "channel", "mine"), route.now)

    (dialog,) = route("StasisStart", channel="mine")

    assert not dialog.announce


@pytest.mark.parametrize("kind", ["channel", "bridge"])
def test_dialog_ends_with_the_refusal_of_what_was_to_begin_it(
    route: Routing, kind: ObjectKind
) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    route.register(name, "mine", kind)
    route.register(name, "mine", kind, release=True)
    (dialog,) = route.dialogs

    assert (dialog.is_ended, dialog.end_reason) == (True, "not_created")
    assert route.dialogs.ended(route.now + TELL_SECONDS) == [dialog]
    route.later(2 * GRACE)
    assert (len(route.dialogs), len(route.dialogs.objects)) == (0, 0)


def test_dialog_that_has_asked_for_more_outlives_a_refusal(route: Routing) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    for channel in ("first", "second"):
        route.register(name, channel)

    route.register(name, "first", release=True)
    assert route.dialogs.lives(name)
    route("ChannelDestroyed", channel="second")

    assert not route.dialogs.lives(name)


def test_dialog_ends_with_a_channel_of_which_nothing_but_its_end_was_seen(route: Routing) -> None:
    """As of one to an extension that does not exist (Asterisk 16 and 22)."""
    name = ids.new_dialog_id(ServerId("s"))
    route.register(name, "mine")

    (dialog,) = route("ChannelDestroyed", channel="mine;2")
    assert not dialog.is_ended
    assert route("ChannelDestroyed", channel="mine") == [dialog]

    assert (dialog.is_ended, dialog.end_reason) == (True, "channels_left")


def test_leg_that_could_not_be_called_does_not_end_its_dialog(route: Routing) -> None:
    dialog = route.start("c1")
    route.register(dialog.dialog_id, "leg")

    assert route("ChannelDestroyed", channel="leg") == [dialog]

    assert not dialog.is_ended


def test_end_is_told_once_after_the_late_events(route: Routing) -> None:
    dialog = route.start("c1")
    route("StasisEnd", channel="c1")

    assert route.dialogs.ended(route.now + TELL_SECONDS / 2) == []
    assert route.dialogs.ended(route.now + TELL_SECONDS) == [dialog]
    assert route.dialogs.ended(route.now + 2 * GRACE) == []


def test_end_is_told_though_there_is_no_grace_period() -> None:
    route = Routing(grace_seconds=0)
    dialog = route.start("c1")
    route("StasisEnd", channel="c1")

    assert route.dialogs.ended(route.now) == [dialog]
    route.dialogs.sweep(route.now)
    assert len(route.dialogs) == 0


def test_dialog_that_lives_again_is_not_told_to_be_over(route: Routing) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    route.register(name, "mine")
    route.register(name, "mine", release=True)
    route.register(name, "mine")  # It tries again, by the same name.
    (dialog,) = route("StasisStart", channel="mine")

    assert route.dialogs.lives(name)
    assert route.dialogs.ended(route.now + GRACE) == []
    route("StasisEnd", channel="mine")
    assert route.dialogs.ended(route.now + TELL_SECONDS) == [dialog]


def test_name_of_a_leg_that_is_gone_may_be_used_again_at_once(route: Routing) -> None:
    dialog = route.start("c1")
    for _ in range(2):
        route.register(dialog.dialog_id, "leg")
        assert route("StasisStart", channel="leg") == [dialog]
        assert route("ChannelDestroyed", channel="leg") == [dialog]


def test_leg_that_comes_when_its_dialog_has_just_ended_keeps_it_alive(route: Routing) -> None:
    """Its caller has hung up while it was being called."""
    dialog = route.start("c1")
    route("StasisEnd", channel="c1")

    assert route("StasisStart", channel=ids.new_object_id(dialog.token)) == [dialog]

    assert not dialog.is_ended
    route.later(2 * GRACE)
    assert route.dialogs.lives(dialog.dialog_id)


def test_registered_dialog_without_any_channel_is_overdue(route: Routing) -> None:
    route.register(ids.new_dialog_id(ServerId("s")), "c")
    (dialog,) = route.dialogs
    dialogs = route.dialogs

    assert dialogs.overdue(route.now + EMPTY_SECONDS - 1) == []
    assert dialogs.overdue(route.now + EMPTY_SECONDS) == [dialog]
    assert dialogs.overdue(route.now + 9 * EMPTY_SECONDS) == []
    dialogs.await_channel(dialog, route.now)
    route("Dial", peer="c")
    assert dialogs.overdue(route.now + EMPTY_SECONDS) == []


@pytest.mark.parametrize("kind", ["channel", "bridge", "playback"])
def test_living_object_is_not_taken_from_its_dialog(route: Routing, kind: ObjectKind) -> None:
    first, second = route.start("c1"), route.start("c2")
    object_event: dict[ObjectKind, tuple[str, dict[str, Any]]] = {
        "channel": ("ChannelVarset", {"channel": "x"}),
        "bridge": ("BridgeCreated", {"bridge": "x"}),
        "playback": ("PlaybackStarted", {"playback": {"id": "x", "target_uri": ""}}),
    }
    event_type, fields = object_event[kind]
    for dialog in (first, second):
        route.dialogs.register(ObjectRegistration(dialog.dialog_id, kind, "x"), route.now)
    # Asterisk answers the second one with 409.
    route.dialogs.register(ObjectRegistration(second.dialog_id, kind, "x", release=True), route.now)

    assert route(event_type, **fields) == [first]


def test_name_that_ari_proxy_made_for_one_dialog_is_not_taken_by_another(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")
    bridge = ids.new_object_id(first.token)
    route.dialogs.register(ObjectRegistration(second.dialog_id, "bridge", bridge), route.now)

    assert route("BridgeCreated", bridge=bridge) == [first]


@pytest.mark.parametrize("kind", ["channel", "bridge", "playback", "recording"])
def test_only_the_first_registration_of_a_name_is_new(route: Routing, kind: ObjectKind) -> None:
    first, second = route.start("c1"), route.start("c2")

    assert route.register(first.dialog_id, "x", kind)
    assert not route.register(first.dialog_id, "x", kind)
    assert not route.register(second.dialog_id, "x", kind)
    assert not route.register(first.dialog_id, "x", kind, release=True)
    assert route.register(second.dialog_id, "x", kind)


def test_name_of_a_leg_that_is_gone_is_new_again(route: Routing) -> None:
    dialog = route.start("c1")
    route.register(dialog.dialog_id, "leg")
    route("StasisStart", channel="leg")
    assert not route.register(dialog.dialog_id, "leg")
    route("ChannelDestroyed", channel="leg")

    assert route.register(dialog.dialog_id, "leg")


def test_name_that_ari_proxy_made_is_new_to_a_dialog_of_the_clients_choice(route: Routing) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    made = [ids.new_object_id(ids.token_of_dialog(name)) for _ in range(2)]

    assert [route.register(name, leg) for leg in made] == [True, True]


def test_bridge_with_the_name_of_a_channel_that_is_gone_stays_with_its_dialog(
    route: Routing,
) -> None:
    first, second = route.start("c1"), route.start("c2")
    route.register(first.dialog_id, "x", "bridge")
    route.register(first.dialog_id, "x", "channel")
    route("StasisStart", channel="x")
    route("StasisEnd", channel="x")

    assert not route.register(second.dialog_id, "x", "bridge")
    assert route("BridgeDestroyed", bridge="x") == [first]
    assert route.register(second.dialog_id, "x", "bridge")


def test_bridge_with_the_name_of_a_living_channel_can_be_refused(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")
    route.register(first.dialog_id, "c1", "bridge")
    route.register(first.dialog_id, "c1", "bridge", release=True)

    assert route.register(second.dialog_id, "c1", "bridge")
    assert route("BridgeCreated", bridge="c1") == [second]


def test_dialog_that_waits_for_a_bridge_with_the_name_of_a_lost_channel_stays_open(
    route: Routing,
) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    route.register(name, "x", "bridge")
    route.register(name, "x", "channel")
    route("ChannelDestroyed", channel="x")

    assert route.dialogs.lives(name)


def test_recording_stays_with_its_dialog_until_that_is_forgotten(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")
    route.register(first.dialog_id, "message", "recording")
    route("StasisEnd", channel="c1")

    assert first.is_ended
    assert not route.register(second.dialog_id, "message", "recording")
    assert route.dialogs.objects.owns(first.dialog_id, "recording", "message")
    route.later(GRACE)
    assert route.register(second.dialog_id, "message", "recording")


@pytest.mark.parametrize("kind", ["bridge", "playback"])
def test_name_in_a_dialog_that_is_over_may_be_used_again(route: Routing, kind: ObjectKind) -> None:
    """Asterisk tells no end of a bridge once the application's last channel has left."""
    first, second = route.start("c1"), route.start("c2")
    route.register(first.dialog_id, "x", kind)
    route("StasisEnd", channel="c1")

    assert not route.register(first.dialog_id, "x", kind)
    assert route.register(second.dialog_id, "x", kind)
    assert route.dialogs.objects.owns(second.dialog_id, kind, "x")


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("channel", ("ChannelDestroyed", {"channel": "x"})),
        ("bridge", ("BridgeDestroyed", {"bridge": "x"})),
        ("playback", ("PlaybackFinished", {"playback": {"id": "x", "target_uri": ""}})),
    ],
)
def test_name_of_a_gone_object_is_free(route: Routing, kind: ObjectKind, gone: Any) -> None:
    first, second = route.start("c1"), route.start("c2")
    route.dialogs.register(ObjectRegistration(first.dialog_id, kind, "x"), route.now)
    if kind == "channel":
        route("StasisStart", channel="x")
    event_type, fields = gone
    assert route(event_type, **fields) == [first]

    route.dialogs.register(ObjectRegistration(second.dialog_id, kind, "x"), route.now)

    assert route(event_type, **fields) == [second]


def test_dialog_whose_id_is_used_again_lives_again(route: Routing) -> None:
    name = ids.new_dialog_id(ServerId("s"))
    lives = []
    for channel in ("first", "second"):
        route.dialogs.register(ObjectRegistration(name, "channel", channel), route.now)
        route("StasisStart", channel=channel)
        lives.append(route.dialogs.lives(name))
        if channel == "first":
            route("StasisEnd", channel=channel)
            lives.append(route.dialogs.lives(name))
            route.later(GRACE)

    assert lives == [True, False, True]


def test_binding_for_another_server_is_refused(route: Routing) -> None:
    with pytest.raises(IllegalSubjectTokenError):
        route.dialogs.register(
            ObjectRegistration("other.0123456789abcdef", "channel", "c"), route.now
        )


def test_ten_thousand_dialogs_leave_nothing_behind(route: Routing) -> None:
    for number in range(10_000):
        channel = f"c{number}"
        dialog = route.start(channel)
        leg = ids.new_object_id(dialog.token)
        route("StasisStart", channel=leg)
        for event_type in ("StasisEnd", "ChannelDestroyed"):
            route(event_type, channel=channel)
            route(event_type, channel=leg)
        route.later(0.01)
    route.later(GRACE + 1)

    dialogs = route.dialogs
    assert (len(dialogs), dialogs.size) == (0, 0)


@pytest.mark.parametrize("version", ["16", "22"])
@pytest.mark.parametrize("scenario", ["a_call_play_dtmf", "g_fifty_calls", "h_create_dial"])
def test_recorded_calls_end_their_dialogs(route: Routing, version: str, scenario: str) -> None:
    started = set()
    for line in recorded(version, scenario):
        if line["dir"] == "event":
            event = events.decode(line["frame"])
            for dialog in route.router.route(event, line["t"]):
                started.add(dialog)

    assert started
    assert all(dialog.is_ended for dialog in started)


def test_recorded_transfer_goes_on_in_one_dialog(route: Routing) -> None:
    replaced = []
    for line in recorded("22", "t_sip_refer"):
        if line["dir"] == "event":
            event = events.decode(line["frame"])
            before = (
                route.router._channels.get(event.replace_channel.id)
                if event.replace_channel
                else None
            )
            dialogs = route.router.route(event, line["t"])
            if event.type == "StasisStart" and event.replace_channel is not None:
                replaced.append((before, dialogs))

    assert replaced
    assert all(dialogs == (before,) for before, dialogs in replaced)


def test_channel_that_replaces_an_unknown_one_begins_a_dialog(route: Routing) -> None:
    (dialog,) = route("StasisStart", channel="new", replace_channel="unknown")

    assert dialog.channel_id == "new"


def test_leg_is_forgotten_after_the_grace_period_though_its_dialog_lives_on(
    route: Routing,
) -> None:
    dialog = route.start("c1")
    route.register(dialog.dialog_id, "leg")
    route("StasisStart", channel="leg")
    route("ChannelDestroyed", channel="leg")
    assert route("ChannelVarset", channel="leg") == [dialog]

    route.later(GRACE + 1)

    assert route("ChannelVarset", channel="leg") == []
    assert route("ChannelVarset", channel="c1") == [dialog]
    assert not dialog.released


def test_object_that_has_moved_to_another_dialog_outlives_its_first_one(route: Routing) -> None:
    first, second = route.start("c1"), route.start("c2")
    route.register(first.dialog_id, "leg")
    route("StasisStart", channel="leg")
    route("StasisEnd", channel="leg")
    route.register(second.dialog_id, "leg")
    route("StasisEnd", channel="c1")

    route.later(GRACE + 1)

    assert first.dialog_id not in route.dialogs.dialogs
    assert route("StasisStart", channel="leg") == [second]


def test_refusal_of_what_events_have_shown_to_exist_takes_nothing(route: Routing) -> None:
    dialog = route.start("c1")
    route.register(dialog.dialog_id, "leg")
    route("StasisStart", channel="leg")

    route.register(dialog.dialog_id, "leg", release=True)

    assert route("ChannelVarset", channel="leg") == [dialog]


def test_dialog_that_has_ended_gets_no_channel_back(route: Routing) -> None:
    dialog = route.start("c1")
    route("StasisEnd", channel="c1")
    table = route.dialogs

    table.end(dialog, route.now, "no_channel")
    table.count(dialog, "c1", entered=True)

    assert (dialog.end_reason, dialog.channels) == ("channels_left", {})


@pytest.mark.parametrize("kind", ["channel", "bridge", "playback", "recording"])
def test_object_belongs_to_one_dialog(route: Routing, kind: ObjectKind) -> None:
    first, second = route.start("c1"), route.start("c2")
    route.register(first.dialog_id, "x", kind)
    owns = route.dialogs.objects.owns

    assert owns(first.dialog_id, kind, "x")
    assert not owns(second.dialog_id, kind, "x")
    assert not owns(first.dialog_id, kind, "unknown")


def test_peer_half_of_a_local_channel_belongs_to_the_dialog_of_the_first(route: Routing) -> None:
    dialog = route.start("Local-1;1")
    leg = ids.new_object_id(dialog.token)

    assert route.dialogs.objects.owns(dialog.dialog_id, "channel", leg + ids.PEER_HALF)


def test_object_that_is_adopted_again_is_bound_once(route: Routing) -> None:
    dialog = route.start("c1")
    table = route.dialogs

    table.adopt(dialog, {"c1": True}, {"bridge": ["bridge"]})
    table.adopt(dialog, {"c1": True}, {"bridge": ["bridge"]})

    assert dialog.objects == {"channel": ["c1"], "bridge": ["bridge"]}


# Calls that Asterisk offers


@pytest.fixture
def claiming() -> Routing:
    return Routing(claims=True)


def test_broadcast_is_of_no_dialog_unless_calls_are_claimed(route: Routing) -> None:
    assert route("CallBroadcast", channel="c") == []
    assert len(route.dialogs) == 0


@pytest.mark.parametrize("is_answered_first", [False, True])
def test_offered_channel_joins_its_dialog(claiming: Routing, is_answered_first: bool) -> None:
    (dialog,) = claiming("CallBroadcast", channel="c")
    assert (dialog.announce, dialog.is_ended, dict(dialog.channels)) == (True, False, {})
    assert claiming("CallClaimed", channel="c") == [dialog]
    if is_answered_first:
        claiming.dialogs.claim(dialog, claiming.now)
        assert dialog.objects == {"channel": ["c"]}
    assert claiming("StasisStart", channel="c") == [dialog]
    claiming.dialogs.claim(dialog, claiming.now)
    assert claiming("ChannelDtmfReceived", channel="c") == [dialog]
    claiming("StasisEnd", channel="c")
    assert (dialog.is_ended, dialog.end_reason) == (True, "channels_left")
    claiming.later(GRACE + 1)
    assert (len(claiming.dialogs), claiming.dialogs.size) == (0, 0)


def test_offer_to_each_application_is_a_dialog_of_its_own(claiming: Routing) -> None:
    (first,) = claiming("CallBroadcast", "a", channel="c")
    (second,) = claiming("CallBroadcast", "b", channel="c")

    assert claiming("StasisStart", "b", channel="c") == [second]
    assert (first.application, first.is_offered, second.is_offered) == ("a", True, False)


def test_offer_that_is_lost_takes_no_later_stasis_start(claiming: Routing) -> None:
    (lost,) = claiming("CallBroadcast", channel="c")
    claiming.dialogs.end(lost, claiming.now, "offer_over")

    assert claiming("StasisStart", channel="c") != [lost]
    assert len(claiming.dialogs) == 2


def test_channel_that_is_offered_again_leaves_the_former_offer(claiming: Routing) -> None:
    (former,) = claiming("CallBroadcast", channel="c")
    (present,) = claiming("CallBroadcast", channel="c")

    assert (former.is_ended, former.end_reason) == (True, "offer_over")
    assert claiming("StasisStart", channel="c") == [present]


def test_broadcast_that_overtakes_the_end_of_the_former_stay(claiming: Routing) -> None:
    former = claiming.start("c")
    (offered,) = claiming("CallBroadcast", channel="c")
    claiming.dialogs.claim(offered, claiming.now)
    assert claiming("StasisEnd", channel="c") == [former]
    assert former.is_ended
    assert claiming("StasisStart", channel="c") == [offered]
    assert not offered.is_ended


def test_leg_that_a_dialog_has_asked_for_is_its_own(claiming: Routing) -> None:
    dialog = claiming.start("c1")
    leg = ids.new_object_id(dialog.token)
    claiming("ChannelCreated", channel=leg)

    assert claiming("CallBroadcast", channel=leg) == [dialog]
    assert claiming("StasisStart", channel=leg) == [dialog]
    assert len(claiming.dialogs) == 1


def test_command_for_an_offered_dialog_does_not_end_it(claiming: Routing) -> None:
    (dialog,) = claiming("CallBroadcast", channel="c")
    assert claiming.register(dialog.dialog_id, "refused")
    claiming.register(dialog.dialog_id, "refused", release=True)
    leg = ids.new_object_id(dialog.token)
    claiming("ChannelCreated", channel=leg)
    claiming("ChannelDestroyed", channel=leg)

    assert (dialog.is_ended, dialog.is_offered) == (False, True)


def test_recorded_broadcasts_are_a_dialog_each(claiming: Routing) -> None:
    found: set[Dialog] = set()
    for line in recorded("22", "u_broadcast"):
        if line["dir"] == "event" and line["ws"] == "ivr-a":
            event = events.decode(line["frame"])
            routed = claiming.router.route(event, line["t"])
            assert len(routed) == 1, event
            found.update(routed)

    assert sorted(dialog.channel_id[7] for dialog in found) == ["a", "b", "c", "d"]
    assert {d.channel_id[7]: d.is_ended for d in found} == {
        "a": True,
        "b": False,
        "c": True,
        "d": False,
    }
