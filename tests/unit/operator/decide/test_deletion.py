"""A deletion waits for dialogs, and never longer than the drain time."""

from datetime import timedelta
from typing import Any

import pytest

from ari_proxy.operator.decide import deletion
from ari_proxy.operator.model import metadata_of
from tests.support.resources import NOW, resource


def deleted(seconds: float = 0, **spec: Any) -> dict[str, Any]:
    """Return a held resource that was deleted some seconds ago."""
    found = resource(**spec)
    found["metadata"]["finalizers"] = [deletion.FINALIZER]
    found["metadata"]["deletionTimestamp"] = (NOW - timedelta(seconds=seconds)).isoformat()
    return found


def test_resource_without_the_finalizer_is_gone_at_once() -> None:
    found = deleted()
    assert not deletion.is_over(metadata_of(found))
    found["metadata"]["finalizers"] = ["foregroundDeletion"]

    assert deletion.is_over(metadata_of(found))
    assert not deletion.is_over(metadata_of(resource()))


@pytest.mark.parametrize(("is_held", "finalizers"), [(True, [deletion.FINALIZER]), (False, [])])
def test_only_the_operators_finalizer_is_applied(*, is_held: bool, finalizers: list[str]) -> None:
    applied = deletion.with_finalizer(metadata_of(resource()), is_held=is_held)

    assert applied["metadata"] == {
        "name": "minimal",
        "namespace": "voice",
        "uid": "uid-minimal",
        "finalizers": finalizers,
    }
    assert "spec" not in applied


@pytest.mark.parametrize(
    ("seconds", "spec", "is_overdue"),
    [
        (599, {}, False),
        (600, {}, True),
        (59, {"drainTimeoutSeconds": 60}, False),
        (60, {"drainTimeoutSeconds": 60}, True),
        (600, {"drainTimeoutSeconds": "of another form"}, True),
    ],
)
def test_deletion_is_overdue_after_the_drain_time(
    seconds: float, spec: dict[str, Any], *, is_overdue: bool
) -> None:
    found = deleted(seconds, **spec)

    assert deletion.is_overdue(found, metadata_of(found), NOW) is is_overdue


def test_spec_of_any_form_does_not_hold_a_deletion_for_ever() -> None:
    found = deleted(601) | {"spec": "x"}

    assert deletion.is_overdue(found, metadata_of(found), NOW)


def test_resource_that_is_not_deleted_or_not_held_is_not_overdue() -> None:
    found = deleted(601)
    found["metadata"]["finalizers"] = []

    assert not deletion.is_overdue(found, metadata_of(found), NOW)
    assert not deletion.is_overdue(resource(), metadata_of(resource()), NOW)
