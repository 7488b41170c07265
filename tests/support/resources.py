"""AriProxy resources and observed states of a cluster, for tests without a cluster."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.component import DesiredComponent, Images
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.decide.plan import Plan, plan
from ari_proxy.operator.decide.rollout import Elsewhere
from ari_proxy.operator.decide.servers import desired_servers
from ari_proxy.operator.decide.slots import Slot
from ari_proxy.operator.model import AriProxy, parse
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import ObjectKey, key_of
from ari_proxy.operator.state import Observed, QueryFailure

SAMPLES = Path(__file__).parents[2] / "k8s" / "samples"
IMAGES = Images(ingest="ingest:1", command="command:1")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRETS: dict[str, Mapping[str, Any] | None] = {
    "asterisk-ari": {"username": "", "password": ""},
    "rabbitmq-default-user": {"connection_string": ""},
}

#: A second server of the minimal sample.
SERVER_B: dict[str, Any] = {
    "name": "b",
    "ari": {"url": "http://b/ari", "credentialsSecretRef": {"name": "asterisk-ari"}},
    "applications": ["demo"],
}


def resource(sample: str = "minimal", **spec: Any) -> dict[str, Any]:
    """Return a sample as the API server returns it, with some fields of its spec replaced."""
    found: dict[str, Any] = yaml.safe_load((SAMPLES / f"{sample}.yaml").read_text())
    found["metadata"] |= {
        "namespace": "voice",
        "uid": f"uid-{found['metadata']['name']}",
        "generation": 1,
        "creationTimestamp": "2026-11-24T10:00:00Z",
    }
    found["spec"] |= copy.deepcopy(spec)
    return found


def proxy(sample: str = "minimal", **spec: Any) -> AriProxy:
    return parse(resource(sample, **spec))


class Cluster:
    """A cluster in which every plan succeeds and every pod becomes ready at once."""

    def __init__(self, sample: str = "minimal", **spec: Any) -> None:
        self.resource = resource(sample, **spec)
        self.children: dict[ObjectKey, dict[str, Any]] = {}
        self.asterisk_pods: list[dict[str, Any]] = []
        self.pods: list[dict[str, Any]] = []
        self.secrets = dict(SECRETS)
        self.failed_checks: dict[str, str] = {}
        self.server_checks: dict[str, dict[str, str]] = {}
        self.dialogs: dict[str, int] = {}
        self.active: dict[str, bool] = {}
        self.query_failures: set[QueryFailure] = set()
        self.rivals: dict[str, str] = {}
        self.now = NOW
        self.deleted: list[ObjectKey] = []
        self.defaults = Defaults()
        self.images = IMAGES

    @property
    def observed(self) -> Observed:
        return Observed(
            proxy=parse(copy.deepcopy(self.resource)),
            children=copy.deepcopy(self.children),
            pods=tuple(self.pods),
            asterisk_pods=tuple(self.asterisk_pods),
            secrets=self.secrets,
            failed_checks=self.failed_checks,
            server_checks=self.server_checks,
            dialogs=self.dialogs,
            active=self.active,
            query_failures=frozenset(self.query_failures),
            rivals=self.rivals,
            now=self.now,
        )

    def plan(self, elsewhere: Elsewhere | None = None) -> Plan:
        return plan(self.observed, self.images, self.defaults, elsewhere)

    def settle(self) -> list[ObjectKey]:
        """Execute the plan; return the keys of the applied objects."""
        steps = self.plan()
        for item in steps.apply:
            self._store(copy.deepcopy(item))
        for key in steps.delete:
            del self.children[key]
            self.deleted.append(key)
        return [key_of(item) for item in steps.apply]

    def _store(self, item: dict[str, Any]) -> None:
        key = key_of(item)
        metadata = item["metadata"]
        former = self.children.get(key, {}).get("metadata", {})
        metadata["generation"] = former.get("generation", 0) + 1
        metadata["resourceVersion"] = str(int(former.get("resourceVersion", 0)) + 1)
        self.children[key] = item
        if item["kind"] == "Deployment":
            self.run(item["metadata"]["name"])

    def run(self, name: str, ready: int | None = None) -> None:
        """Make a Deployment's pods ready, all or some."""
        item = self.children[ObjectKey("Deployment", name)]
        replicas = item["spec"]["replicas"]
        item["status"] = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas if ready is None else ready,
        }

    def named(self, kind: str) -> list[str]:
        return [key.name for key in self.children if key.kind == kind]

    def of(self, kind: str, name: str) -> dict[str, Any]:
        return self.children[ObjectKey(kind, name)]


def execute(cluster: Cluster, steps: Plan) -> None:
    """Execute the patches of a plan."""
    for item, operations in steps.patches:
        version, change = operations
        live = cluster.children[key_of(item)]
        assert version["value"] == live["metadata"]["resourceVersion"]
        place: Any = live
        *parents, last = change["path"].removeprefix("/").split("/")
        for name in parents:
            place = place[name]
        place[last.replace("~1", "/")] = change["value"]


def component(
    component: Component = "ingest",
    sample: str = "minimal",
    *,
    has_lease: bool = False,
    defaults: Defaults | None = None,
    **spec: Any,
) -> DesiredComponent:
    """Return a component of a sample's first server."""
    observed = Cluster(sample, **spec).observed
    return DesiredComponent(
        proxy=observed.proxy,
        slot=_slot(observed),
        component=component,
        images=IMAGES,
        defaults=defaults or Defaults(),
        has_lease=has_lease,
    )


def _slot(observed: Observed) -> Slot:
    server = desired_servers(observed)[0]
    return Slot(name=server.name, servers=(server,))


def labels_of(server: str, component: Component = "ingest") -> dict[str, str]:
    """Return the labels by which a pod belongs to a component of a server."""
    return {names.SERVER: server, names.COMPONENT: component}


def pod(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    ready: bool = True,
    **status: Any,
) -> dict[str, Any]:
    """Return a running pod."""
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "namespace": "voice", "labels": dict(labels or {})},
        "spec": {},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions, **status},
    }
