"""Objects of others are left alone, and pods wait for what they need."""

from typing import Any

import pytest

from ari_proxy.operator.decide.refusals import conditional, foreign, lacks_a_part
from tests.support.resources import SERVER_B, Cluster

INGEST = "minimal-ingest-asterisk-a"


def planned(kind: str, name: str = INGEST, **spec: Any) -> dict[str, Any]:
    """Return an object of the minimal sample."""
    items = Cluster(**spec).plan().apply
    return next(item for item in items if (item["kind"], item["metadata"]["name"]) == (kind, name))


def owner(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "uid": f"uid-{name}", **fields}


def existing(*owners: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": INGEST, "ownerReferences": list(owners)}}


def test_apply_changes_the_object_that_was_seen() -> None:
    item = planned("ConfigMap")
    live = {**item, "metadata": {**item["metadata"], "uid": "seen"}}

    assert conditional(item, live)["metadata"] == {**item["metadata"], "uid": "seen"}


def test_apply_creates_an_object_or_is_refused() -> None:
    """No object has this version, so that the API server answers 409 if one exists."""
    item = planned("ConfigMap")

    assert conditional(item, None)["metadata"] == {**item["metadata"], "resourceVersion": "1"}
    assert "resourceVersion" not in item["metadata"]


def test_object_that_the_resource_controls_is_its_own() -> None:
    own = owner("AriProxy", "minimal", controller=True)

    assert foreign(planned("ConfigMap"), existing(own)) is None


@pytest.mark.parametrize(
    ("owners", "holder"),
    [
        ([], "nobody"),
        ([owner("AriProxy", "minimal")], "nobody"),
        ([owner("AriProxy", "other", controller=True)], "AriProxy other"),
        (
            [owner("AriProxy", "minimal"), owner("Deployment", "theirs", controller=True)],
            "Deployment theirs",
        ),
    ],
)
def test_object_of_somebody_else_is_refused_with_what_to_do(
    owners: list[dict[str, Any]], holder: str
) -> None:
    refusal = foreign(planned("ConfigMap"), existing(*owners))

    assert refusal is not None
    assert refusal.reason == "NameTaken"
    assert f"controlled by {holder}, not by this AriProxy; delete it" in refusal.message


@pytest.mark.parametrize(
    ("kind", "name", "is_needed"),
    [
        ("ServiceAccount", "minimal-ingest", True),
        ("ServiceAccount", "minimal-command", False),
        ("ConfigMap", INGEST, True),
        ("ConfigMap", "minimal-ingest-b", False),
        ("ConfigMap", "minimal-command-asterisk-a", False),
    ],
)
def test_deployment_waits_for_the_objects_of_its_pods(
    kind: str, name: str, *, is_needed: bool
) -> None:
    servers = {"servers": [*Cluster().resource["spec"]["servers"], SERVER_B]}
    refused = planned(kind, name, **servers)

    assert lacks_a_part(planned("Deployment"), [refused]) is is_needed


def test_other_objects_wait_for_nothing() -> None:
    assert not lacks_a_part(planned("ConfigMap"), [planned("ServiceAccount", "minimal-ingest")])
