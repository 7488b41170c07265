"""Conditions keep the time of their last change."""

from datetime import UTC, datetime, timedelta

from ari_proxy.operator.report.conditions import Condition, condition, merge, timestamp

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
READY = condition("Ready", True, "AllServersReady", "all servers are served")
BROKEN = condition("Ready", False, "SecretMissing", "there is no Secret late")


def test_status_is_true_or_false() -> None:
    assert (READY.status, BROKEN.status) == ("True", "False")


def test_new_condition_begins_now() -> None:
    (found,) = merge((), [READY], generation=3, now=NOW)

    assert found == {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 3,
        "lastTransitionTime": "2026-11-24T12:00:00Z",
        "reason": "AllServersReady",
        "message": "all servers are served",
    }


def test_time_is_kept_while_the_status_is_the_same() -> None:
    former = merge((), [BROKEN], generation=1, now=NOW)
    other = Condition("Ready", "False", "NotReady", "p: bus: none")
    (found,) = merge(former, [other], generation=2, now=LATER)

    assert found["lastTransitionTime"] == timestamp(NOW)
    assert (found["reason"], found["observedGeneration"]) == ("NotReady", 2)


def test_time_changes_with_the_status() -> None:
    former = merge((), [BROKEN], generation=1, now=NOW)
    (found,) = merge(former, [READY], generation=1, now=LATER)

    assert found["lastTransitionTime"] == timestamp(LATER)


def test_conditions_that_no_longer_exist_are_dropped() -> None:
    former = merge((), [condition("Old", True, "R", "m")], generation=1, now=NOW)

    assert [item["type"] for item in merge(former, [READY], generation=1, now=NOW)] == ["Ready"]


def test_message_fits_the_contract() -> None:
    (found,) = merge((), [condition("Ready", False, "R", "x" * 40_000)], generation=1, now=NOW)

    assert len(found["message"]) == 4096
