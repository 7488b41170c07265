"""The chart as Helm renders it; what a real API server says of it stands in tests/e2e."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ari_proxy.__about__ import __version__
from ari_proxy.operator.kubernetes import Kubernetes
from tests.support import chart, schemas
from tests.support.chart import CHART, CRD
from tests.support.programs import program

VALUES = sorted((CHART / "ci").glob("*.yaml"))


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("helm"), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def render(*options: str) -> list[dict[str, Any]]:
    where = ("--namespace", "telephony", "--kube-version", "1.31.0")
    done = helm("template", "release", str(CHART), *where, *options)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def refusal(*options: str) -> str:
    done = helm("template", "release", str(CHART), "--kube-version", "1.31.0", *options)
    assert done.returncode != 0
    return done.stderr


def of(items: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in items if item["kind"] == kind]


def container(items: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = [i for i in of(items, "Deployment") if "nats" not in i["metadata"]["name"]]
    found, *_ = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(items: list[dict[str, Any]]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container(items)["env"]}


# What is made from elsewhere


def test_template_of_the_kind_is_that_of_the_contract() -> None:
    assert (CHART / "templates" / "crds.yaml").read_text() == chart.crd_template()
    (found,) = of(render(), "CustomResourceDefinition")
    wanted = yaml.safe_load(CRD.read_text())
    assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == wanted


def test_readme_is_that_of_the_values() -> None:
    assert (CHART / "README.md").read_text() == chart.readme()


def test_manifest_without_helm_is_that_of_the_chart() -> None:
    assert chart.INSTALL.read_text() == chart.install()


def test_manifest_without_helm_has_all_that_helm_installs() -> None:
    items = [item for item in yaml.safe_load_all(chart.INSTALL.read_text()) if item]
    rendered = render("--no-hooks", "--namespace", "ari-proxy")
    assert [item["kind"] for item in items] == ["Namespace", *(item["kind"] for item in rendered)]
    namespaces = {item["metadata"].get("namespace", "ari-proxy") for item in items}
    assert namespaces == {"ari-proxy"}


def test_versions_are_the_programs() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == about["version"] == __version__
    images = yaml.safe_load(about["annotations"]["artifacthub.io/images"])
    named = {item["name"]: item["image"] for item in images}
    assert named == {
        name: f"ari-proxy-{name}:{__version__}" for name in ("operator", "ingest", "command")
    }


def test_artifact_hub_shows_a_resource_that_is_valid() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    examples = yaml.safe_load(about["annotations"]["artifacthub.io/crdsExamples"])
    assert schemas.problems(examples, schemas.VERSIONS[-1]) == []
    assert [item["kind"] for item in examples] == ["AriProxy"]


def test_every_value_has_its_comment_and_its_place_in_the_schema() -> None:
    documented = {path for path, _ in chart.documented((CHART / "values.yaml").read_text())}
    schema = json.loads((CHART / "values.schema.json").read_text())

    # Not one of ours: the `condition` of a chart that has this one as a dependency.
    del schema["properties"]["enabled"]

    def compare(values: dict[str, Any], schema: dict[str, Any], place: str) -> list[str]:
        problems = [f"{place}{name}" for name in set(values) ^ set(schema["properties"])]
        for name, value in values.items():
            path, inner = f"{place}{name}", schema["properties"][name]
            if "properties" in inner and path not in documented:
                problems += compare(value, inner, f"{path}.")
            elif path not in documented:
                problems.append(path)
        return problems

    assert compare(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "") == []


# Rendering


def test_lint() -> None:
    done = helm("lint", "--strict", str(CHART), "--kube-version", "1.31.0")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_values_are_rendered(values: Path) -> None:
    items = render("--values", str(values))

    for item in items:
        assert item["metadata"]["name"]
        labels = item["metadata"].get("labels", {})
        if item["kind"] != "CustomResourceDefinition" and "extra" not in item["metadata"]["name"]:
            assert labels["app.kubernetes.io/part-of"] == "ari-proxy"
            assert labels["helm.sh/chart"] == f"ari-proxy-{__version__}"


def test_operator_as_it_comes() -> None:
    items = render()

    assert environment(items)["ARI_PROXY_NAMESPACES"] == "[]"
    assert environment(items)["ARI_PROXY_INGEST_IMAGE"] == f"ari-proxy-ingest:{__version__}"
    assert container(items)["securityContext"]["readOnlyRootFilesystem"]
    (role,) = [
        x
        for x in of(items, "ClusterRole")
        if x["metadata"]["name"] == "telephony:release-ari-proxy"
    ]
    secrets = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    assert [rule["verbs"] for rule in secrets] == [["get"]]
    assert not of(items, "Role")


def test_namespaced_operator_has_no_right_in_the_cluster() -> None:
    items = render("--values", str(CHART / "ci" / "namespaced-values.yaml"))

    assert not of(items, "ClusterRole")
    assert not of(items, "CustomResourceDefinition")
    namespaces = {item["metadata"]["namespace"] for item in of(items, "Role")}
    assert namespaces == {"voice", "contact-centre"}
    assert environment(items)["ARI_PROXY_NAMESPACES"] == '["voice","contact-centre"]'


def test_namespaced_operator_looks_after_its_own_namespace() -> None:
    items = render("--set", "rbac.scope=Namespace")

    assert environment(items)["ARI_PROXY_NAMESPACES"] == '["telephony"]'
    assert {item["metadata"]["namespace"] for item in of(items, "Role")} == {"telephony"}


def test_registry_and_digest() -> None:
    items = render("--values", str(CHART / "ci" / "everything-values.yaml"))

    image = "registry.example.com/voice/ari-proxy-operator@sha256:"
    assert container(items)["image"].startswith(image)
    assert environment(items)["ARI_PROXY_COMMAND_IMAGE"].startswith("registry.example.com/voice/")


def test_kind_that_is_not_kept() -> None:
    (found,) = of(render("--set", "crds.keep=false"), "CustomResourceDefinition")
    assert "annotations" not in found["metadata"]


@pytest.mark.parametrize("release", ["release", "ari-proxy", "r" * 53])
def test_names_fit(release: str) -> None:
    done = helm("template", release, str(CHART), "--kube-version", "1.31.0")
    for item in yaml.safe_load_all(done.stdout):
        assert len(item["metadata"]["name"]) <= (63 if "namespace" in item["metadata"] else 253)
        for value in (item["metadata"].get("labels") or {}).values():
            assert len(value) <= 63


# Refusals


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("operator.replicas=2", "replicas"),
        ("crds.enabled=perhaps", "crds"),
        ("rbac.scope=Pod", "scope"),
        ("operator.logging.level=loud", "level"),
        ("operator.workers=0", "workers"),
        ("operator.rollout.maxServersAtOnce=0", "maxServersAtOnce"),
        ("operator.image.digest=abc", "digest"),
        ("operator.watchNamespaces={Voice}", "watchNamespaces"),
        ("monitoring.podMonitor.interval=often", "interval"),
        ("ingest.replicas=2", "replicas"),
        ("monitoring.prometheusRule.runbookUrl=docs/runbooks/", "runbookUrl"),
        ("serviceAccount.create=false", "serviceAccount.name is needed"),
        ("operator.hostNetwork=true", "networkPolicy.extraPeers"),
    ],
)
def test_wrong_value_is_refused(option: str, word: str) -> None:
    assert word in refusal("--set", option)


@pytest.mark.parametrize(
    "option",
    ["networkPolicy.enabled=false", "networkPolicy.extraPeers[0].ipBlock.cidr=10.0.0.0/8"],
)
def test_operator_in_its_nodes_network_reaches_the_pods(option: str) -> None:
    items = render("--set", "operator.hostNetwork=true", "--set", option)

    (deployment,) = of(items, "Deployment")
    assert deployment["spec"]["template"]["spec"]["hostNetwork"] is True


def test_older_cluster_is_refused() -> None:
    done = helm("template", "release", str(CHART), "--kube-version", "1.30.0")
    assert "kubeVersion" in done.stderr


def test_hooks_are_the_test_alone() -> None:
    """So `--no-hooks` leaves out nothing else."""
    assert [item["kind"] for item in render() if "helm.sh/hook" in annotations(item)] == ["Pod"]
    assert not of(render("--no-hooks"), "Pod")


def test_test_uses_what_the_operator_has() -> None:
    """Its program is in the chart, and mypy reads no YAML."""
    (pod,) = of(render(), "Pod")
    program = pod["spec"]["containers"][0]["command"][-1]
    compile(program, "test", "exec")
    used = re.findall(r"\bcluster\.(\w+)\(", program)
    assert used
    assert [name for name in used if not hasattr(Kubernetes, name)] == []


def annotations(item: dict[str, Any]) -> dict[str, str]:
    return item["metadata"].get("annotations") or {}


def test_no_probe_comes_before_python_has_started() -> None:
    assert container(render())["startupProbe"]["initialDelaySeconds"] > 0


def test_icon_is_the_file() -> None:
    """Within the metadata it needs no server."""
    icon: str = yaml.safe_load((CHART / "Chart.yaml").read_text())["icon"]
    kind, _, content = icon.partition(",")

    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content) == (CHART / "icon.svg").read_bytes()
