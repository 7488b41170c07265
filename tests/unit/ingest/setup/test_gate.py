"""The gate of set-ups."""

import pytest

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.setup.gate import SetupGate, SetUpPausedError
from ari_proxy.protocol.ids import DialogId
from tests.support.permit import SwitchedPermit


def dialog(name: str = "s.1") -> Dialog:
    return Dialog(DialogId(name), "demo", "c", announce=True, now=0)


def is_closed(gate: SetupGate, one: Dialog) -> bool:
    try:
        gate.check(one)
    except SetUpPausedError:
        return True
    return False


def test_dialog_that_is_stopped_may_not_go_on_until_it_is_resumed() -> None:
    gate, one, other = SetupGate(SwitchedPermit()), dialog(), dialog("s.2")
    gate.stop([one.dialog_id])
    assert (is_closed(gate, one), is_closed(gate, other)) == (True, False)
    assert (gate.is_stopped(one), gate.is_stopped(other)) == (True, False)
    gate.resume(one)

    assert not is_closed(gate, one)


def test_no_dialog_goes_on_once_all_are_paused() -> None:
    gate = SetupGate(SwitchedPermit())
    gate.pause()

    with pytest.raises(SetUpPausedError):
        gate.check(dialog())
    assert not gate.is_stopped(dialog())


def test_no_dialog_goes_on_while_another_ingest_may_be_active() -> None:
    permit = SwitchedPermit()
    permit.is_given = False
    gate = SetupGate(permit)
    assert is_closed(gate, dialog())
    permit.is_given = True

    assert not is_closed(gate, dialog())
