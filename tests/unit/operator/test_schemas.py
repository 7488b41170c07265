"""The objects that the operator applies are valid by Kubernetes' own schemas."""

from typing import Any

import pytest

from ari_proxy.operator.decide import secrets
from ari_proxy.operator.decide.servers import desired_servers
from tests.support import schemas
from tests.support.resources import SAMPLES, Cluster, pod
from tests.support.schemas import VERSIONS


def planned(sample: str) -> list[dict[str, Any]]:
    """Return all objects of a sample whose Secrets exist."""
    cluster = Cluster(sample)
    selector = cluster.observed.proxy.spec.server_selector
    if selector is not None:
        cluster.asterisk_pods = [pod("asterisk-0", labels=selector.match_labels)]
    for server in desired_servers(cluster.observed):
        for file in secrets.needed(cluster.observed.proxy, server):
            found = cluster.secrets.get(file.secret) or {}
            cluster.secrets[file.secret] = {**found, file.key: ""}
    return list(cluster.plan().apply)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sample", sorted(path.stem for path in SAMPLES.glob("*.yaml")))
def test_objects_are_valid(sample: str, version: str) -> None:
    items = planned(sample)

    assert {"ServiceAccount", "ConfigMap", "Deployment"} <= {item["kind"] for item in items}
    assert schemas.problems(items, version) == []


def test_misspelt_field_is_found() -> None:
    (*_, deployment) = [item for item in planned("minimal") if item["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["container"] = []

    assert "container" in schemas.problems([deployment], VERSIONS[0])[0]
