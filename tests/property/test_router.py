"""Whatever comes, in whatever order: no dialog gets another's events, and nothing is kept."""

import json
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.ari import events
from ari_proxy.ari.event_types import EVENT_TYPES
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import EMPTY_SECONDS, DialogTable
from ari_proxy.ingest.routing.router import Router
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

SERVER: Final = ServerId("s")
GRACE: Final = 10.0


def event(event_type: str, application: str = "demo", **fields: Any) -> events.AriEvent:
    named = {name: {"id": v} if isinstance(v, str) else v for name, v in fields.items()}
    return events.decode(json.dumps({"type": event_type, "application": application, **named}))


class Call:
    """One call with objects of its own: what Asterisk sends about it, and what clients register.

    Steps are functions, since the ids of some objects are known only when the dialog is.
    """

    def __init__(self, dialogs: DialogTable, number: int, extras: list[str]) -> None:
        self.dialogs = dialogs
        self.channel = f"c{number}"
        self.bridge = f"b{number}"
        self.playback = f"p{number}"
        self.dialog: Dialog | None = None
        self.leg = ""
        gone = extras.index("leg gone") if "leg gone" in extras else len(extras)
        after = [step for step in extras[gone:] if step not in {"leg", "dial"}]
        self.steps = ["start", *extras[:gone], *after, "end", "destroyed"]

    def take(self, router: Router, step: str, now: float) -> None:
        """Do one step; whatever is routed has to be this call's alone."""
        if step == "start":
            (self.dialog,) = router.route(event("StasisStart", channel=self.channel), now)
            self.leg = ids.new_object_id(self.dialog.token)
            self._register("bridge", self.bridge, now)
            self._register("playback", self.playback, now)
            return
        assert router.route(self._event(step), now) == (self.dialog,), step

    def _register(self, kind: ObjectKind, name: str, now: float) -> None:
        assert self.dialog is not None
        self.dialogs.register(ObjectRegistration(self.dialog.dialog_id, kind, name), now)

    def _event(self, step: str) -> events.AriEvent:
        both = {"id": self.bridge, "channels": [self.channel, self.leg]}
        return {
            "dtmf": lambda: event("ChannelDtmfReceived", channel=self.channel),
            "varset": lambda: event("ChannelVarset", channel=self.leg),
            "dial": lambda: event("Dial", peer=self.leg, caller=self.channel),
            "leg": lambda: event("StasisStart", channel=self.leg),
            "leg gone": lambda: event("ChannelDestroyed", channel=self.leg),
            "bridge": lambda: event("BridgeCreated", bridge=self.bridge),
            "entered": lambda: event("ChannelEnteredBridge", channel=self.leg, bridge=both),
            "merged": lambda: event("BridgeMerged", bridge=both, bridge_from=self.bridge),
            "unknown bridge": lambda: event("BridgeDestroyed", bridge=both | {"id": "nobody's"}),
            "playback": lambda: event(
                "PlaybackStarted", playback={"id": self.playback, "target_uri": "bridge:x"}
            ),
            "recording": lambda: event(
                "RecordingStarted", recording={"name": "r", "target_uri": f"bridge:{self.bridge}"}
            ),
            "end": lambda: event("StasisEnd", channel=self.channel),
            "destroyed": lambda: event("ChannelDestroyed", channel=self.channel),
        }[step]()


EXTRAS: Final = (
    "dtmf",
    "varset",
    "dial",
    "leg",
    "leg gone",
    "bridge",
    "entered",
    "merged",
    "unknown bridge",
    "playback",
    "recording",
)


@given(
    st.lists(st.lists(st.sampled_from(EXTRAS), max_size=8), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_calls_never_get_each_others_events(extras: list[list[str]], random: Any) -> None:
    dialogs = DialogTable(SERVER, grace_seconds=GRACE)
    router = Router(SERVER, dialogs)
    calls = [Call(dialogs, number, steps) for number, steps in enumerate(extras)]
    now = 0.0
    while waiting := [call for call in calls if call.steps]:
        call = random.choice(waiting)
        call.take(router, call.steps.pop(0), now)
        now += 0.01
        dialogs.sweep(now)

    assert len({call.dialog.dialog_id for call in calls if call.dialog}) == len(calls)


names = st.sampled_from(["c1", "c2", "c1;2", "arip-0123456789abcdef-0123456789", "b1", ""])
objects = st.fixed_dictionaries({"id": names})
bridges = st.fixed_dictionaries({"id": names, "channels": st.lists(names, max_size=3)})
media = st.fixed_dictionaries(
    {"id": names, "target_uri": st.sampled_from(["channel:c1", "bridge:b1", "x", ""])}
)
anything = st.fixed_dictionaries(
    {"type": st.sampled_from([*sorted(EVENT_TYPES), "Unheard"])},
    optional={
        "application": st.sampled_from(["demo", "other"]),
        "channel": objects,
        "replace_channel": objects,
        "peer": objects,
        "caller": objects,
        "bridge": bridges,
        "bridge_from": bridges,
        "playback": media,
        "recording": media,
    },
)
#: Channels that come and go between two applications.
moves = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["StasisStart", "StasisEnd", "ChannelDestroyed"]),
        "application": st.sampled_from(["demo", "other"]),
        "channel": st.fixed_dictionaries({"id": st.sampled_from(["c1", "c2"])}),
    }
)
bindings = st.builds(
    ObjectRegistration,
    dialog_id=st.sampled_from(["s.0123456789abcdef", "s.fedcba9876543210"]),
    kind=st.sampled_from(["channel", "bridge", "playback"]),
    object_id=names.filter(bool),
    application=st.sampled_from(["", "demo"]),
    release=st.booleans(),
)


@given(st.lists(st.one_of(anything, moves, bindings, st.floats(0, 2 * GRACE)), max_size=40))
def test_whatever_comes_nothing_is_kept_and_no_dialog_gets_an_event_twice(steps: list[Any]) -> None:
    dialogs = DialogTable(SERVER, grace_seconds=GRACE)
    router = Router(SERVER, dialogs)
    now = 0.0
    for step in steps:
        if isinstance(step, float):
            now += step
            dialogs.sweep(now)
        elif isinstance(step, ObjectRegistration):
            dialogs.register(step, now)
        else:
            found = router.route(events.decode(json.dumps(step)), now)
            assert len(found) == len(set(found))
            assert set(found) <= set(dialogs)

    for name in {channel for dialog in dialogs for channel in dialog.channels}:
        router.route(event("ChannelDestroyed", channel=name), now)
        router.route(event("ChannelDestroyed", "other", channel=name), now)
    for _ in range(2):
        now += EMPTY_SECONDS + GRACE + 1
        for dialog in dialogs.overdue(now):
            dialogs.end(dialog, now, "no_channel")
        dialogs.sweep(now)

    assert (len(dialogs), dialogs.size) == (0, 0)
