"""The CRD on a real API server: samples are accepted, mistakes refused with a helpful message."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import sample
from tests.support import cluster
from tests.support.cluster import CHART, K8S, Namespace, RefusedError


@pytest.fixture(scope="module")
def namespace(release: Namespace) -> Iterator[Namespace]:
    assert release
    namespace = Namespace("contract").create()
    yield namespace
    namespace.remove()


def dry_run(namespace: Namespace, resource: dict[str, Any]) -> None:
    namespace.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(resource))


@pytest.mark.parametrize("name", sorted(path.stem for path in (K8S / "samples").glob("*.yaml")))
def test_sample_is_taken(namespace: Namespace, name: str) -> None:
    dry_run(namespace, sample(name))


def minimal(path: str, value: Any) -> dict[str, Any]:
    """Return the minimal sample with a field of its spec replaced; `a.0.b` is a path."""
    resource = copy.deepcopy(sample("minimal"))
    place: Any = resource
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    place[int(last) if isinstance(place, list) else last] = value
    return resource


def outbound(**fields: Any) -> dict[str, Any]:
    """Return ARI of an Asterisk that opens the websockets."""
    return {"connection": "Outbound", "credentialsSecretRef": REF, "outbound": fields}


REF = {"name": "secret"}
SERVER = sample("minimal")["spec"]["servers"][0]
SELECTOR = sample("discovery")["spec"]["serverSelector"]
DIALOG_IDS = {"urlSecretRef": REF, "dialogIds": "Number"}
TWO_LOGINS = {"servers": ["nats://x:1"], "tokenSecretRef": REF, "userSecretRef": REF}
SAME_ID = [SERVER, {**SERVER, "name": "b", "serverId": "asterisk-a"}]
TOO_MANY = {"minReplicas": 3, "maxReplicas": 2}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("metadata.name", "a-name-of-twenty-one-", "metadata.name"),
        ("metadata.name", "a-name-of-21-letters.", "metadata.name"),
        ("metadata.name", "a-name-of-twenty-one1", "at most 20 characters"),
        ("spec.bus.type", "Kafka", "supported values"),
        ("spec.bus.type", "RabbitMQ", "rabbitmq must be set exactly when type is RabbitMQ"),
        ("spec.bus.rabbitmq", {"urlSecretRef": REF}, "rabbitmq must be set exactly when"),
        ("spec.bus.nats", {}, "exactly one of servers and urlSecretRef"),
        ("spec.bus.nats.urlSecretRef", REF, "exactly one of servers and urlSecretRef"),
        ("spec.bus.nats.servers", ["nats://user:secret@nats:4222"], "servers[0]"),
        ("spec.bus.nats.servers", ["http://nats:4222"], "servers[0]"),
        ("spec.bus.nats", TWO_LOGINS, "at most one of"),
        ("spec.bus.nats.queueGroup", "a.b", "queueGroup"),
        ("spec.bus.nats.inboxPrefix", "inbox.>", "inboxPrefix"),
        ("spec.bus.nats.tls", {"serverName": "nats://x"}, "serverName"),
        ("spec.bus.nats.dialogIds", "Uuid", "unknown field"),
        ("spec.bus", {"type": "RabbitMQ", "rabbitmq": DIALOG_IDS}, "supported values"),
        ("spec.servers", [], "at least 1"),
        ("spec.servers", None, "exactly one of servers and serverSelector"),
        ("spec.serverSelector", SELECTOR, "exactly one of servers and serverSelector"),
        ("spec.servers.0.name", "Asterisk", "name"),
        ("spec.servers.0.serverId", "a.b", "serverId"),
        ("spec.servers.0.applications", [], "applications"),
        ("spec.servers.0.applications", ["a.b"], "applications[0]"),
        ("spec.servers.0.applications", ["a", "a"], "Duplicate value"),
        ("spec.servers.0.ari.url", "ftp://asterisk/ari", "absolute http or https URL"),
        ("spec.servers.0.ari.url", "asterisk:8088", "absolute http or https URL"),
        ("spec.monitoring.traces", {"endpoint": "collector:4318"}, "absolute http or https URL"),
        ("spec.monitoring.traces", {"endpoint": "http://u:p@c:4318"}, "must not carry a query"),
        ("spec.monitoring.traces", {}, "endpoint"),
        ("spec.servers.0.ari.url", "http://a:8088/ari?api_key=u:p", "credentialsSecretRef"),
        ("spec.servers.0.ari.url", "http://user:secret@a:8088/ari", "credentialsSecretRef"),
        ("spec.servers.0.ari.url", "http://a:8088/ari#x", "without a fragment"),
        ("spec.servers.0.ari.url", "http://a:8088/ari/events", "without /events"),
        ("spec.servers.0.ari.url", "http://a:99999/ari", "a port from 1 to 65535"),
        ("spec.servers.0.ari.url", "http://\u00e4sterisk:8088/ari", "url"),
        ("spec.servers.0.ari.credentialsSecretRef", {}, "name"),
        ("spec.servers.0.ari.credentialsSecretRef", {"name": "No_Such Secret"}, "name"),
        ("spec.servers.0.ari", {"credentialsSecretRef": REF}, "url must be set unless"),
        ("spec.servers.0.ari.outbound", {}, "outbound is for the connection Outbound"),
        ("spec.servers.0.ari", outbound(asteriskVersion="22.4.2"), "20.15, 21.10, 22.5 or newer"),
        ("spec.servers.0.ari", outbound(asteriskVersion="22"), "asteriskVersion"),
        ("spec.servers.0.ari", outbound(username="a]"), "username"),
        ("spec.servers.0.ari", outbound(clientCaSecretRef=REF), "needs certificateSecretRef"),
        ("spec.servers.0.ari.tls", {"serverName": ""}, "serverName"),
        ("spec.servers", [SERVER, SERVER], "Duplicate value"),
        ("spec.servers", SAME_ID, "serverId must be unique"),
        ("spec.ingest.replicas", 6, "less than or equal to 5"),
        ("spec.ingest.noListener", "Wait", "supported values"),
        ("spec.ingest.leaseDurationSeconds", 1, "greater than or equal to 2"),
        ("spec.command.autoscaling", TOO_MANY, "minReplicas must not be greater"),
        ("spec.command.policy.allow", ["PATCH /channels"], "allow[0]"),
        ("spec.command.policy.scope", "Channel", "supported values"),
        ("spec.imagePullPolicy", "Sometimes", "supported values"),
        ("spec.sever", [], "unknown field"),
    ],
)
def test_mistake_is_refused(namespace: Namespace, path: str, value: Any, message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        dry_run(namespace, minimal(path, value))

    assert message in str(refused.value)


def test_manifest_stays_as_it_is(namespace: Namespace) -> None:
    """Argo CD compares list items field by field: a default there would be a difference."""
    resource = sample("minimal")
    resource["spec"]["suspend"] = True
    namespace.apply(yaml.safe_dump(resource))

    assert namespace.get("ariproxy", "minimal")["spec"]["servers"] == resource["spec"]["servers"]
    namespace.kubectl("delete", "ariproxy", "minimal")


def test_name_that_no_service_can_have_is_refused_for_outbound(namespace: Namespace) -> None:
    resource = sample("outbound")
    resource["metadata"]["name"] = "1.a"

    with pytest.raises(RefusedError, match="must begin with a letter and have no dot"):
        dry_run(namespace, resource)


def test_server_id_stays_what_it_is(namespace: Namespace) -> None:
    resource = minimal("spec.servers.0.serverId", "first")
    resource["metadata"]["name"] = "lasting"
    resource["spec"]["suspend"] = True
    namespace.apply(yaml.safe_dump(resource))
    resource["spec"]["servers"][0]["serverId"] = "second"

    with pytest.raises(RefusedError, match="serverId cannot be changed"):
        namespace.apply(yaml.safe_dump(resource))


@pytest.mark.parametrize("values", ["default", "everything"])
def test_rendered_chart_is_taken(namespace: Namespace, values: str) -> None:
    file = str(CHART / "ci" / f"{values}-values.yaml")
    where = ("--namespace", namespace.name, "--kube-version", "1.31.0", "--values", file)
    rendered = cluster.run("helm", "template", "other", str(CHART), *where)
    items = [item for item in yaml.safe_load_all(rendered) if item and _is_checkable(item)]
    for item in items:
        if item["metadata"].get("namespace") == "monitoring":  # Which the cluster need not have.
            item["metadata"]["namespace"] = namespace.name

    namespace.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(items)
    )


def _is_checkable(item: dict[str, Any]) -> bool:
    """Skip kinds that a cluster may lack, and pods, whose ServiceAccount would have to exist."""
    return "coreos" not in item["apiVersion"] and item["kind"] != "Pod"


def test_kind_is_found_by_its_short_name_and_category(namespace: Namespace) -> None:
    assert namespace.kubectl("get", "ari", "--no-headers") is not None
    explained = cluster.kubectl("explain", "ariproxy.spec.servers")
    assert "The operator creates an ingest" in explained
