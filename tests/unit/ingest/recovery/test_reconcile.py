"""What Asterisk has against what is known."""

from typing import Any, get_args

import msgspec
import pytest

from ari_proxy.ari import snapshot
from ari_proxy.ari.snapshot import Snapshot
from ari_proxy.ingest.recovery.reconcile import Reconciliation, RecoveryPlan
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogForm, DialogId, ServerId

SERVER = ServerId("s")
D = DialogId("s.0123456789abcdef")


def in_stasis(name: str, app: str = "demo", **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "state": "Up",
        "dialplan": {"app_name": "Stasis", "app_data": app},
        **fields,
    }


def ringing(name: str) -> dict[str, Any]:
    return {"id": name, "state": "Ringing", "dialplan": {"app_name": "AppDial2", "app_data": "x"}}


def left(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "state": "Up", "dialplan": {"app_name": "Wait", "app_data": "9"}, **fields}


class World:
    def __init__(self) -> None:
        self.table = DialogTable(SERVER, grace_seconds=10)

    def dialog(self, dialog_id: DialogId = D, **channels: bool) -> Dialog:
        dialog = self.table.open(dialog_id, "demo", "", announce=True, now=0)
        self.table.adopt(dialog, channels)
        return dialog

    def look(self, *channels: dict[str, Any], bridges: dict[str, Any] | None = None) -> Snapshot:
        found = snapshot.channels(msgspec.json.encode(channels).decode())
        return Snapshot(found, {k: tuple(v) for k, v in (bridges or {}).items()})

    def reconciliation(self, seen: Snapshot) -> Reconciliation:
        return Reconciliation(
            SERVER, self.table.dialogs, self.table.objects.channels, seen, ("demo",)
        )

    def plan(self, *channels: dict[str, Any], restarted: bool = False, **more: Any) -> RecoveryPlan:
        known = {d: tuple(d.channels) for d in self.table.dialogs.values() if not d.is_ended}
        seen = self.look(*channels, **more)
        return self.reconciliation(seen).plan(known, was_restarted=restarted)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("entered", "channel", "is_kept"),
    [
        (True, in_stasis("c"), True),
        (True, left("c"), False),
        (True, in_stasis("c", "elsewhere"), False),
        (False, ringing("c"), True),
        (False, left("c"), True),
        (True, in_stasis("another"), False),
    ],
)
def test_dialog_lives_as_long_as_a_channel_of_it(
    world: World, entered: bool, channel: dict[str, Any], is_kept: bool
) -> None:
    dialog = world.dialog(c=entered)

    plan = world.plan(channel)

    assert (plan.kept, plan.ended) == (([dialog], []) if is_kept else ([], [dialog]))
    assert plan.gone == ({} if is_kept else {dialog: ["c"]})


def test_dialog_that_loses_one_of_its_legs_is_kept(world: World) -> None:
    dialog = world.dialog(c=True, leg=True)

    plan = world.plan(in_stasis("c"))

    assert (plan.kept, plan.ended, plan.gone) == ([dialog], [], {dialog: ["leg"]})


def test_dialog_that_has_no_channel_yet_is_kept(world: World) -> None:
    dialog = world.dialog()

    assert world.plan().kept == [dialog]


def test_restarted_asterisk_has_none_of_the_former_dialogs_channels(world: World) -> None:
    dialog = world.dialog(c=True)

    plan = world.plan(in_stasis("c"), restarted=True)

    assert (plan.ended, plan.gone) == ([dialog], {dialog: ["c"]})


@pytest.mark.parametrize("form", get_args(DialogForm))
def test_channels_tell_their_dialogs_by_name_by_variable_and_by_registration(
    world: World, form: DialogForm
) -> None:
    dialog_id = ids.new_dialog_id(SERVER, form=form)
    ours = ids.new_object_id(ids.token_of_dialog(dialog_id))
    registered = world.dialog(DialogId("s.fedcba9876543210"))
    world.table.objects.bind("channel", "named", registered)
    other = "s.aaaaaaaaaaaaaaaa"
    mine = {"ARI_PROXY_DIALOG": dialog_id}

    plan = world.plan(
        in_stasis(ours, creationtime="2026-01-01T00:00:02"),
        in_stasis("1.2", channelvars=mine, creationtime="2026-01-01T00:00:01"),
        in_stasis("1.3", channelvars={"ARI_PROXY_DIALOG": other}),
        in_stasis("named"),
    )

    found = {adoption.dialog_id: adoption for adoption in plan.adopted}
    assert found[dialog_id].channels == {ours: True, "1.2": True}
    assert (found[dialog_id].channel_id, found[dialog_id].application) == ("1.2", "demo")
    assert found[DialogId(other)].channels == {"1.3": True}
    assert found[registered.dialog_id].channels == {"named": True}
    assert plan.unserved == []


def test_leg_that_rings_is_adopted_and_one_that_has_left_is_not(world: World) -> None:
    rings, gone = (ids.new_object_id(ids.token_of_dialog(D)) for _ in range(2))

    plan = world.plan(ringing(rings), left(gone))

    (adoption,) = plan.adopted
    assert (adoption.channels, adoption.channel_id) == ({rings: False}, "")


@pytest.mark.parametrize(
    "variable", ["", "another.0123456789abcdef", "s.short", "s.", "nonsense", "s.0123456789abcde>"]
)
def test_channel_that_tells_no_dialog_of_ours_is_unserved(world: World, variable: str) -> None:
    plan = world.plan(in_stasis("c", channelvars={"ARI_PROXY_DIALOG": variable}))

    assert (plan.adopted, plan.unserved) == ([], ["c"])


def test_channel_that_has_left_its_dialog_and_come_back_is_unserved(world: World) -> None:
    dialog = world.dialog(c=True, leg=True)
    world.table.release(dialog, "c", 0)

    plan = world.plan(in_stasis("c", channelvars={"ARI_PROXY_DIALOG": D}), in_stasis("leg"))

    assert (plan.kept, plan.unserved) == ([dialog], ["c"])


def test_others_channels_are_nobodys_business(world: World) -> None:
    plan = world.plan(in_stasis("c", "elsewhere"), left("d"), ringing("e"))

    assert (plan.adopted, plan.unserved) == ([], [])


def test_bridge_that_a_client_has_named_goes_with_its_channels(world: World) -> None:
    ours, other = ({"ARI_PROXY_DIALOG": name} for name in (D, "s.aaaaaaaaaaaaaaaa"))
    bridges = {"named": ["1.2"], "shared": ["1.2", "1.3"], "empty": []}
    channels = in_stasis("1.2", channelvars=ours), in_stasis("1.3", channelvars=other)

    plan = world.plan(*channels, bridges=bridges)

    assert [adoption.bridges for adoption in plan.adopted] == [["named"], []]


def test_only_channels_that_tell_nothing_are_asked(world: World) -> None:
    world.dialog(known=True)
    seen = world.look(
        in_stasis("known"),
        in_stasis("silent"),
        in_stasis("tells", channelvars={"ARI_PROXY_DIALOG": D}),
        in_stasis(ids.new_object_id(ids.token_of_dialog(D))),
        left("gone"),
    )

    assert world.reconciliation(seen).unidentified() == ["silent"]
    told = seen.with_dialogs({"silent": D})
    assert told.channels["silent"].dialog_id == D
    assert told.channels["known"].dialog_id == ""


def test_arguments_of_the_dialplan_are_kept_for_a_lost_stasis_start(world: World) -> None:
    state = world.look(in_stasis("c", "demo,a,b")).channels["c"]

    assert (state.application, state.arguments) == ("demo", ("a", "b"))
