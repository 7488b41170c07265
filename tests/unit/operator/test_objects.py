"""Keys and labels of objects, and the state of pods."""

import pytest

from ari_proxy.operator.objects import (
    is_finished,
    is_ready,
    is_running,
    key_of,
    labels_of,
    matches,
)
from tests.support.resources import pod


def test_key_is_kind_and_name() -> None:
    key = key_of({"kind": "Lease", "metadata": {"name": "a", "namespace": "voice"}})

    assert (key.kind, key.name) == ("Lease", "a")


@pytest.mark.parametrize("metadata", [{}, {"labels": None}, {"labels": {}}])
def test_object_may_have_no_labels(metadata: dict[str, None]) -> None:
    assert labels_of({"metadata": metadata}) == {}


@pytest.mark.parametrize(
    ("labels", "selected"),
    [({"app": "a", "more": "b"}, True), ({"app": "b"}, False), ({}, False)],
)
def test_selector_needs_all_its_labels(labels: dict[str, str], selected: bool) -> None:
    assert matches(labels, {"app": "a"}) is selected


def test_pod_without_status_is_neither_ready_nor_running_nor_finished() -> None:
    item = {"metadata": {"name": "new"}}

    assert not any(is_true(item) for is_true in (is_ready, is_running, is_finished))


def test_ready_pod_has_passed_its_probe() -> None:
    assert is_ready(pod("p"))
    assert not is_ready(pod("p", ready=False))


@pytest.mark.parametrize(
    ("phase", "address", "running", "finished"),
    [
        ("Running", "10.0.0.1", True, False),
        ("Running", "", False, False),
        ("Pending", "10.0.0.1", False, False),
        ("Unknown", "10.0.0.1", False, False),
        ("Succeeded", "10.0.0.1", False, True),
        ("Failed", "", False, True),
    ],
)
def test_phase_of_a_pod(phase: str, address: str, running: bool, finished: bool) -> None:
    item = pod("p", phase=phase, podIP=address)

    assert (is_running(item), is_finished(item)) == (running, finished)
