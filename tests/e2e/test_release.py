"""The release: `helm test`, an upgrade, and an uninstallation that leaves nothing behind."""

import urllib.request

import pytest
import yaml

from ari_proxy.telemetry.metrics_table import TABLE
from tests.e2e.conftest import RELEASE, install, named, sample, uninstall, voice_namespace
from tests.support import cluster
from tests.support.cluster import CHART, Namespace, until
from tests.support.prometheus import objections

pytestmark = pytest.mark.timeout(420)


def test_chart_passes_its_own_test(release: Namespace) -> None:
    said = cluster.run("helm", "test", RELEASE, "--namespace", release.name)

    assert "Succeeded" in said


def test_live_metrics_of_the_operator_are_as_prometheus_wants_them(
    release: Namespace, voice: Namespace
) -> None:
    voice.apply(yaml.safe_dump(named(sample("minimal"), "measured", "measured")))
    voice.until_settled("measured")
    with (
        release.forwarded(f"deployment/{RELEASE}-ari-proxy", 9797) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer,
    ):
        text = answer.read()
    voice.kubectl("delete", "ariproxy", "measured")

    assert objections(text) == ""
    own = [row.name for row in TABLE if row.name.startswith("ariproxy_operator_")]
    samples = [line for line in text.decode().splitlines() if not line.startswith("#")]
    assert [name for name in own if not any(line.startswith(name) for line in samples)] == []
    assert any('name="measured"' in line and line.endswith(" 1.0") for line in samples)


def test_upgrade_changes_the_operator_and_no_pod_of_a_call(
    release: Namespace, voice: Namespace
) -> None:
    voice.apply(yaml.safe_dump(named(sample("minimal"), "upgraded", "upgraded")))
    voice.until_settled("upgraded")
    before = [pod["metadata"]["name"] for pod in voice.pods("upgraded", "ingest")]

    options = ("--set", "operator.logging.level=debug", "--wait", "--timeout", "120s")
    cluster.run("helm", "upgrade", RELEASE, str(CHART), "--namespace", release.name, *options)
    voice.kubectl("delete", "deployment", "upgraded-command-asterisk-a")
    until(lambda: voice.pods("upgraded", "command"), "the new operator works")
    voice.until_settled("upgraded")

    assert [pod["metadata"]["name"] for pod in voice.pods("upgraded", "ingest")] == before
    voice.kubectl("delete", "ariproxy", "upgraded")


def test_release_with_rights_in_one_namespace_serves_it_and_leaves_nothing_behind() -> None:
    cluster.require("kubectl", "helm")
    with voice_namespace(replicas=1) as voice:
        # The kind is the cluster's, and there already, as where somebody else has installed it.
        options = ("rbac.scope=Namespace", "crds.enabled=false")
        install(voice, *(x for option in options for x in ("--set", option)))
        voice.apply(yaml.safe_dump(named(sample("standby"), "limited", "limited")))
        voice.until_settled("limited")
        assert not [name for name in clusterroles() if voice.name in name]
        voice.kubectl("delete", "ariproxy", "limited")
        ours = "app.kubernetes.io/managed-by=ari-proxy-operator"
        until(lambda: not voice.objects("pods", ours), "its pods are gone")
        uninstall(voice)
        kinds = "all,roles,rolebindings,serviceaccounts,configmaps,pdb"
        label = "app.kubernetes.io/part-of=ari-proxy"
        until(lambda: not voice.objects(kinds, label), "nothing is left behind")


def test_admin_of_a_namespace_installs_an_operator_there(release: Namespace) -> None:
    """The release has given the role `admin` what an operator needs beside it."""
    assert release
    role = ("get", "clusterrole", "admin", "-o", "json")
    until(lambda: "ariproxies/status" in cluster.kubectl(*role), "the roles are aggregated")
    team = Namespace("team").create()
    try:
        team.kubectl("create", "rolebinding", "admin", "--clusterrole=admin", "--user=tenant")
        as_tenant = ("--namespace", team.name, "--kube-as-user", "tenant")
        options = ("--set", "rbac.scope=Namespace", "--set", "crds.enabled=false", "--wait")
        cluster.run("helm", "install", RELEASE, str(CHART), *as_tenant, *options)
        assert "Succeeded" in cluster.run("helm", "test", RELEASE, *as_tenant)
        cluster.run("helm", "uninstall", RELEASE, *as_tenant, "--wait")
    finally:
        team.remove()


def clusterroles() -> list[str]:
    return cluster.kubectl("get", "clusterrolebindings", "-o", "name").split()
