"""AriProxy resources and clusters as the operator may see them, for tests without one."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ari_proxy.operator.decide.children.wanted import Images
from ari_proxy.operator.decide.plan import Plan, key_of, plan
from ari_proxy.operator.model import AriProxy, parse
from ari_proxy.operator.observe.state import Key, Observed, Silence

SAMPLES = Path(__file__).parents[2] / "k8s" / "samples"
IMAGES = Images(ingest="ingest:1", command="command:1")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRETS: dict[str, Mapping[str, Any] | None] = {
    "asterisk-ari": {"username": "", "password": ""},
    "rabbitmq-default-user": {"connection_string": ""},
}


def resource(sample: str = "minimal", **spec: Any) -> dict[str, Any]:
    """Return a sample as the API server gives it, with some of its fields replaced."""
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
    """A cluster in which everything that is planned is done, and runs at once."""

    def __init__(self, sample: str = "minimal", **spec: Any) -> None:
        self.resource = resource(sample, **spec)
        self.children: dict[Key, dict[str, Any]] = {}
        self.asterisk_pods: list[dict[str, Any]] = []
        self.pods: list[dict[str, Any]] = []
        self.secrets = dict(SECRETS)
        self.complaints: dict[str, str] = {}
        self.dialogs: dict[str, int] = {}
        self.silences: set[Silence] = set()
        self.rivals: dict[str, str] = {}
        self.now = NOW
        self.deleted: list[Key] = []

    @property
    def observed(self) -> Observed:
        return Observed(
            proxy=parse(copy.deepcopy(self.resource)),
            children=copy.deepcopy(self.children),
            pods=tuple(self.pods),
            asterisk_pods=tuple(self.asterisk_pods),
            secrets=self.secrets,
            complaints=self.complaints,
            dialogs=self.dialogs,
            silences=frozenset(self.silences),
            rivals=self.rivals,
            now=self.now,
        )

    def plan(self) -> Plan:
        return plan(self.observed, IMAGES)

    def settle(self) -> list[Key]:
        """Do what is planned; return what was applied."""
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
        """Have a Deployment's pods run, all or so many of them."""
        item = self.children["Deployment", name]
        replicas = item["spec"]["replicas"]
        item["status"] = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas if ready is None else ready,
        }

    def named(self, kind: str) -> list[str]:
        return [name for (found, name) in self.children if found == kind]

    def of(self, kind: str, name: str) -> dict[str, Any]:
        return self.children[kind, name]


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
