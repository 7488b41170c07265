"""A changed condition leads to one Event."""

from typing import Any

import pytest

from ari_proxy.operator.report import events
from ari_proxy.operator.report.events import changed, event
from tests.support.resources import NOW, proxy


def condition(kind: str, status: str, reason: str, message: str = "m") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


READY = condition("Ready", "True", "AllServersReady")
BROKEN = condition("Ready", "False", "SecretMissing", "there is no Secret late")
STARTING = condition("Ready", "False", "Starting")
ACTIVE = condition("Suspended", "False", "Active")
SUSPENDED = condition("Suspended", "True", "Suspended")


@pytest.mark.parametrize(
    ("former", "current", "reasons"),
    [
        ([], [READY], ["AllServersReady"]),
        ([], [BROKEN], ["SecretMissing"]),
        ([], [STARTING], []),
        ([STARTING], [READY], ["AllServersReady"]),
        ([READY], [READY], []),
        ([READY], [BROKEN], ["SecretMissing"]),
        ([BROKEN], [BROKEN], []),
        ([BROKEN], [{**BROKEN, "message": "another"}], []),
        ([BROKEN], [{**BROKEN, "reason": "SecretKeyMissing"}], ["SecretKeyMissing"]),
        ([], [ACTIVE], []),
        ([], [SUSPENDED], ["Suspended"]),
        ([ACTIVE, READY], [SUSPENDED, READY], ["Suspended"]),
        ([SUSPENDED], [ACTIVE], ["Active"]),
        ([], [condition("Progressing", "True", "RollingOut")], []),
    ],
)
def test_changes_of_a_condition(
    former: list[dict[str, Any]], current: list[dict[str, Any]], reasons: list[str]
) -> None:
    assert [item["reason"] for item in changed(former, current)] == reasons


def test_event_is_about_the_resource() -> None:
    found = event(proxy().metadata, BROKEN, NOW, lambda _: "AbC")

    assert found["metadata"] == {"name": "minimal.abc", "namespace": "voice"}
    assert (found["type"], found["reason"]) == ("Warning", "SecretMissing")
    assert found["note"] == "Ready=False: there is no Secret late"
    assert found["eventTime"] == "2026-11-24T12:00:00.000000Z"
    assert (found["regarding"]["kind"], found["regarding"]["name"]) == ("AriProxy", "minimal")


@pytest.mark.parametrize(
    ("item", "kind"),
    [(READY, "Normal"), (BROKEN, "Warning"), (SUSPENDED, "Warning"), (ACTIVE, "Normal")],
)
def test_type_of_an_event(item: dict[str, Any], kind: str) -> None:
    assert event(proxy().metadata, item, NOW)["type"] == kind


def test_note_fits_the_api() -> None:
    """The API server refuses a note of more than 1024 characters (events.k8s.io/v1)."""
    item = condition("Ready", "False", "ApplyFailed", "x" * 4096)

    assert len(event(proxy().metadata, item, NOW)["note"]) == 1024


def test_waiting_for_another_release_is_an_event_of_its_lease() -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "ari-proxy-operator", "namespace": "kube-system", "uid": "u"},
    }
    found = events.of_lease(lease, "x" * 2000, NOW, lambda length: "r" * length)

    assert found["type"] == "Warning"
    assert found["reason"] == "AnotherOperatorLeads"
    assert len(found["note"]) == 1024
    assert found["metadata"] == {
        "name": "ari-proxy-operator.rrrrrrrrrrrr",
        "namespace": "kube-system",
    }
    assert found["regarding"] == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "name": "ari-proxy-operator",
        "namespace": "kube-system",
        "uid": "u",
    }
