"""Resources, valid and invalid ones, and their children."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import named, sample
from tests.support.cluster import Namespace, RefusedError, until

pytestmark = pytest.mark.timeout(420)


@contextmanager
def applied(voice: Namespace, resource: dict[str, Any]) -> Iterator[str]:
    voice.apply(yaml.safe_dump(resource))
    name: str = resource["metadata"]["name"]
    try:
        yield name
    finally:
        voice.kubectl("delete", "ariproxy", name)


def patch(voice: Namespace, name: str, spec: dict[str, Any]) -> None:
    text = json.dumps({"spec": spec})
    voice.kubectl("patch", "ariproxy", name, "--type=merge", "--patch", text)


def has_reason(voice: Namespace, name: str, reason: str) -> bool:
    return bool(voice.condition(name)["reason"] == reason)


def login(name: str) -> str:
    data = {"username": "ari", "password": "change-me"}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
    )


# Mistakes


def test_missing_secret_is_named_and_the_other_server_is_served(voice: Namespace) -> None:
    resource = named(sample("minimal"), "secretless", "secretless")
    first = resource["spec"]["servers"][0]
    ari = {**first["ari"], "credentialsSecretRef": {"name": "late"}}
    resource["spec"]["servers"].append(
        # Of the same Asterisk, on which an application has one client.
        {
            **first,
            "name": "asterisk-b",
            "serverId": "secretless-b",
            "ari": ari,
            "applications": ["secretless-b"],
        }
    )
    with applied(voice, resource) as name:
        until(lambda: has_reason(voice, name, "SecretMissing"), "the Secret is missed")
        assert "there is no Secret late" in voice.condition(name)["message"]
        until(
            lambda: voice.get("ariproxy", name)["status"]["readyServerCount"] == 1,
            "the other server is served",
        )
        assert not voice.pods(name, "ingest", "asterisk-b")
        notes = [
            item for item in voice.objects("events.events.k8s.io") if item["type"] == "Warning"
        ]
        assert any("no Secret late" in item["note"] for item in notes)

        voice.apply(login("late"))
        voice.until_settled(name, 2)


def test_what_a_pod_says_is_wrong_stands_in_the_resource(voice: Namespace) -> None:
    voice.apply(login("wrong").replace("change-me", "wrong-one"))
    resource = named(sample("minimal"), "mistaken", "mistaken")
    resource["spec"]["servers"][0]["ari"]["credentialsSecretRef"]["name"] = "wrong"
    with applied(voice, resource) as name:
        until(lambda: has_reason(voice, name, "NotReady"), "the pod is not ready")

        message = voice.condition(name)["message"]
        assert "websocket is not connected" in message or "401" in message
        assert "wrong-one" not in json.dumps(voice.get("ariproxy", name)["status"])


def test_server_id_that_another_resource_serves_is_left_to_it(voice: Namespace) -> None:
    first = named(sample("minimal"), "elder", "elder")
    second = named(sample("minimal"), "younger", "younger")
    second["spec"]["servers"][0]["serverId"] = first["spec"]["servers"][0]["serverId"]
    with applied(voice, first) as elder:
        voice.until_settled(elder)
        with applied(voice, second) as younger:
            until(lambda: has_reason(voice, younger, "ServerIdConflict"), "the conflict is told")
            assert f"{voice.name}/elder" in voice.condition(younger)["message"]
            assert not voice.pods(younger, "ingest")
            assert voice.is_settled(elder)


def test_object_that_the_api_server_refuses_is_told(voice: Namespace) -> None:
    resource = named(sample("minimal"), "refused", "refused")
    # Accepted by the contract, since it leaves pods to Kubernetes.
    resource["spec"]["ingest"] = {"podTemplate": {"spec": {"restartPolicy": "Sometimes"}}}
    with applied(voice, resource) as name:
        until(lambda: has_reason(voice, name, "ApplyFailed"), "the refusal is told")
        assert "restartPolicy" in voice.condition(name)["message"]

        patch(voice, name, {"ingest": {"podTemplate": None}})
        voice.until_settled(name)


@pytest.mark.parametrize("containers", ["x", [None], {"name": "x"}])
def test_podtemplate_of_a_wrong_form_is_told(voice: Namespace, containers: object) -> None:
    resource = named(sample("minimal"), "formless", "formless")
    resource["spec"]["ingest"] = {"podTemplate": {"spec": {"containers": containers}}}
    with applied(voice, resource) as name:
        until(lambda: has_reason(voice, name, "PodTemplateInvalid"), "the mistake is told")
        found = voice.get("ariproxy", name)
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert "spec.ingest.podTemplate.spec.containers" in voice.condition(name)["message"]


def test_objects_of_others_are_left_alone_and_told(voice: Namespace) -> None:
    resource = named(sample("standby"), "foreign", "foreign")
    account, settings = "foreign-ingest", "foreign-ingest-asterisk-a"
    voice.kubectl("create", "serviceaccount", account)
    voice.kubectl("create", "configmap", settings, "--from-literal=my=data")
    with applied(voice, resource) as name:
        until(lambda: has_reason(voice, name, "NameTaken"), "the name is taken")
        assert f"ServiceAccount {account}: it exists" in voice.condition(name)["message"]
        until(lambda: f"{name}-command-asterisk-a" in voice.names("deployment"), "others exist")
        assert settings not in voice.names("deployment")

        voice.kubectl("delete", "serviceaccount", account)
        until(lambda: settings in voice.condition(name)["message"], "the other one is told")
        found = voice.get("configmap", settings)
        assert found["data"] == {"my": "data"}
        assert "ownerReferences" not in found["metadata"]

        voice.kubectl("delete", "configmap", settings)
        voice.until_settled(name)


# Children


def test_children_that_were_deleted_or_changed_come_back(voice: Namespace) -> None:
    with applied(voice, named(sample("standby"), "drifting", "drifting")) as name:
        voice.until_settled(name)
        ingest, command = (f"{name}-{x}-asterisk-a" for x in ("ingest", "command"))
        config = voice.get("configmap", ingest)["data"]

        voice.kubectl("delete", "deployment", command)
        voice.kubectl("delete", "poddisruptionbudget", ingest)
        voice.kubectl("delete", "rolebinding", f"{name}-ingest")
        change = '{"data": {"config.json": "{}"}}'
        voice.kubectl("patch", "configmap", ingest, "--patch", change)
        voice.kubectl("scale", f"deployment/{command}", "--replicas=7")

        until(lambda: voice.get("configmap", ingest)["data"] == config, "the settings are back")
        until(lambda: ingest in voice.names("poddisruptionbudget"), "the budget is back")
        until(lambda: f"{name}-ingest" in voice.names("rolebinding"), "the rights are back")
        voice.until_settled(name)
        assert voice.get("deployment", command)["spec"]["replicas"] == 2


def test_image_that_can_not_start_stops_at_one_server(voice: Namespace) -> None:
    resource = named(sample("minimal"), "stepwise", "stepwise")
    first = resource["spec"]["servers"][0]
    names = ("asterisk-a", "asterisk-b", "asterisk-c")
    resource["spec"]["servers"] = [
        # Of the same Asterisk, on which an application has one client.
        {**first, "name": name, "serverId": f"stepwise-{name}", "applications": [f"step-{name}"]}
        for name in names
    ]
    with applied(voice, resource) as name:
        voice.until_settled(name, 3)
        before = {server: uids(voice, name, server) for server in names}

        patch(voice, name, {"ingest": {"image": "registry.invalid/ingest:0"}})

        def is_stopped() -> bool:
            return bool(voice.condition(name, "Progressing")["reason"] == "RolloutStopped")

        until(is_stopped, "the roll-out stops")
        assert "asterisk-a" in voice.condition(name, "Progressing")["message"]
        assert voice.condition(name)["status"] == "True"
        # The former pods serve everywhere; one server has a new one beside.
        after = {server: uids(voice, name, server) for server in names}
        assert all(before[server] <= after[server] for server in names)
        assert [server for server in names if after[server] != before[server]] == ["asterisk-a"]

        patch(voice, name, {"ingest": {"image": None}})
        voice.until_settled(name, 3)


def uids(voice: Namespace, proxy: str, server: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in voice.pods(proxy, "ingest", server)}


def test_what_others_add_is_removed(voice: Namespace) -> None:
    with applied(voice, named(sample("minimal"), "added", "added")) as name:
        voice.until_settled(name)
        command = f"{name}-command-asterisk-a"
        template = voice.get("deployment", command)["spec"]["template"]

        voice.kubectl("set", "env", f"deployment/{command}", "ARI_PROXY_COMMAND__DENY=[]")
        sidecar = {"name": "sidecar", "image": "example.com/sidecar:1"}
        added = {"spec": {"template": {"spec": {"containers": [sidecar]}}}}
        voice.kubectl("patch", "deployment", command, "--patch", json.dumps(added))
        voice.kubectl("patch", "configmap", command, "--patch", '{"data": {"other": "x"}}')

        def is_restored() -> bool:
            found = voice.get("deployment", command)["spec"]["template"]
            return bool(found == template)

        until(is_restored, "the pods' template is restored")
        until(lambda: "other" not in voice.get("configmap", command)["data"], "the file is gone")
        voice.until_settled(name)

        voice.kubectl("rollout", "restart", f"deployment/{command}")
        voice.kubectl("rollout", "status", f"deployment/{command}", "--timeout=120s")
        metadata = voice.get("deployment", command)["spec"]["template"]["metadata"]
        assert "kubectl.kubernetes.io/restartedAt" in metadata["annotations"]


def test_autoscaler_is_not_fought(voice: Namespace) -> None:
    resource = named(sample("minimal"), "scaled", "scaled")
    resource["spec"]["command"] = {"autoscaling": {"minReplicas": 1, "maxReplicas": 4}}
    with applied(voice, resource) as name:
        voice.until_settled(name)
        command = f"{name}-command-asterisk-a"
        assert voice.get("hpa", command)["spec"]["maxReplicas"] == 4

        # As the autoscaler does; there are no metrics here that would move it.
        voice.kubectl("scale", f"deployment/{command}", "--replicas=3")
        until(lambda: len(voice.pods(name, "command")) == 3, "three executors run")
        patch(voice, name, {"command": {"maxInFlight": 16}})
        voice.until_settled(name)
        assert voice.get("deployment", command)["spec"]["replicas"] == 3

        patch(voice, name, {"command": {"autoscaling": None, "replicas": 1}})
        voice.until_settled(name)
        assert voice.get("deployment", command)["spec"]["replicas"] == 1
        assert command not in voice.names("hpa")


def test_number_of_pods_that_is_left_out_is_left_to_others(voice: Namespace) -> None:
    with applied(voice, named(sample("minimal"), "kedas", "kedas")) as name:
        voice.until_settled(name)
        command = f"{name}-command-asterisk-a"
        voice.kubectl("scale", f"deployment/{command}", "--replicas=2")
        voice.until_settled(name)
        patch(voice, name, {"command": {"maxInFlight": 16}})
        voice.until_settled(name)
        assert voice.get("deployment", command)["spec"]["replicas"] == 2

        voice.kubectl("scale", f"deployment/{command}", "--replicas=0")
        until(lambda: has_reason(voice, name, "ScaledToZero"), "nobody serves")


def test_suspended_resource_is_left_as_it_is(voice: Namespace) -> None:
    with applied(voice, named(sample("minimal"), "suspended", "suspended")) as name:
        voice.until_settled(name)
        patch(voice, name, {"suspend": True, "command": {"replicas": 3}})
        until(lambda: voice.condition(name, "Suspended")["status"] == "True", "it is suspended")
        assert len(voice.pods(name, "command")) == 1

        patch(voice, name, {"suspend": False})
        voice.until_settled(name)
        assert len(voice.pods(name, "command")) == 3


def test_lease_is_kept_where_pods_have_one_and_leaves_with_the_resource(voice: Namespace) -> None:
    with applied(voice, named(sample("standby"), "leased", "leased")) as name:
        voice.until_settled(name)
        patch(voice, name, {"ingest": {"replicas": 1}})
        voice.until_settled(name)
        assert f"{name}-ingest-asterisk-a" in voice.names("lease")

    labels = "app.kubernetes.io/instance=leased"
    kinds = "deployments,configmaps,serviceaccounts,roles,rolebindings,leases,pdb,hpa,pods"
    until(lambda: not voice.objects(kinds, labels), "everything is gone")


def test_removed_server_goes_when_its_calls_are_over(voice: Namespace) -> None:
    resource = named(sample("minimal"), "shrinking", "shrinking")
    first = resource["spec"]["servers"][0]
    second = {**first, "name": "asterisk-b", "serverId": "shrinking-b"}
    second["ari"] = {**first["ari"], "url": "http://asterisk-1.asterisk:8088/ari"}
    resource["spec"]["servers"].append(second)
    with applied(voice, resource) as name:
        voice.until_settled(name, 2)
        patch(voice, name, {"servers": [first]})
        until(lambda: "asterisk-b" not in str(voice.names("deployments")), "it is gone")
        voice.until_settled(name, 1)
        assert [item["name"] for item in voice.get("ariproxy", name)["status"]["servers"]] == [
            "asterisk-a"
        ]


def test_pods_are_not_what_pod_security_refuses(voice: Namespace) -> None:
    with applied(voice, named(sample("standby"), "strict", "strict")) as name:
        voice.until_settled(name)
        for component in ("ingest", "command"):
            pod = voice.pods(name, component)[0]
            spec = pod["spec"]
            has_token = any("serviceAccountToken" in str(volume) for volume in spec["volumes"])
            assert has_token == (component == "ingest")
            write = ("exec", pod["metadata"]["name"], "--", "python3", "-c", "open('/app/x', 'w')")
            with pytest.raises(RefusedError, match="Read-only file system"):
                voice.kubectl(*write)
