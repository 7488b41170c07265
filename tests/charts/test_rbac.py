"""The rights that the chart grants: to whom, where, and that its installer could have them."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.charts.test_chart import helm, of, render
from tests.support.chart import CHART

WRITE = ("create", "update", "patch", "delete", "deletecollection")
READ = ("get", "list", "watch")
#: What Kubernetes' role `admin` has of what an operator needs, by API group: with all verbs, and
#: with those that read. Kubernetes 1.31 to 1.36, plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
ADMIN_MAY_ALL = {
    "": {"configmaps", "events", "secrets", "serviceaccounts", "services", "pods"},
    "apps": {"deployments"},
    "autoscaling": {"horizontalpodautoscalers"},
    "coordination.k8s.io": {"leases"},
    "networking.k8s.io": {"networkpolicies"},
    "policy": {"poddisruptionbudgets"},
    "rbac.authorization.k8s.io": {"roles", "rolebindings"},
}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


class Right(NamedTuple):
    """One verb on one resource."""

    group: str
    resource: str
    verb: str


def rights(roles: Iterable[dict[str, Any]]) -> Iterator[Right]:
    for role in roles:
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    yield from (Right(group, resource, verb) for verb in rule["verbs"])


def aggregated(items: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    """Return the ClusterRoles whose rights everybody with a role of Kubernetes' has."""
    wanted = {"admin": ("admin", "edit", "view"), "edit": ("edit", "view"), "view": ("view",)}[role]
    return [
        item
        for item in of(items, "ClusterRole")
        if any(item["metadata"]["labels"].get(f"{AGGREGATE}{name}") for name in wanted)
    ]


#: What an admin of a namespace installs.
NAMESPACED = ("--set", "rbac.scope=Namespace", "--set", "crds.enabled=false")
#: What an administrator of the cluster installs before, once.
CLUSTER = ("--set", "operator.enabled=false")


def test_admin_of_a_namespace_installs_nothing_of_the_cluster() -> None:
    items = render(*NAMESPACED)
    assert {item["metadata"].get("namespace") for item in items} == {"telephony"}


def test_admin_of_a_namespace_has_what_he_grants() -> None:
    """Else the API server refuses the Role: attempting to grant permissions not currently held."""
    own = {
        Right(group, resource, verb)
        for group, resources in ADMIN_MAY_ALL.items()
        for resource in resources
        for verb in (*READ, *WRITE)
    }
    own |= set(rights(aggregated(render(*CLUSTER), "admin")))
    assert set(rights(of(render(*NAMESPACED), "Role"))) - own == set()


def test_cluster_has_no_operator_where_each_namespace_has_its_own() -> None:
    kinds = {item["kind"] for item in render(*CLUSTER)}
    assert kinds == {"CustomResourceDefinition", "ClusterRole"}


def test_user_who_may_edit_can_neither_write_a_status_nor_events() -> None:
    found = set(rights(aggregated(render(), "edit")))
    assert Right("ari-proxy.io", "ariproxies", "create") in found
    assert {right.resource for right in found} == {"ariproxies"}


def test_user_who_may_view_changes_nothing() -> None:
    assert {right.verb for right in rights(aggregated(render(), "view"))} == set(READ)


def test_watched_namespaces_narrow_the_roles() -> None:
    items = render("--set", "operator.watchNamespaces={voice,contact-centre}")

    namespaces = ["voice", "contact-centre"]
    assert [item["metadata"]["namespace"] for item in of(items, "Role")] == namespaces
    assert [item["metadata"]["namespace"] for item in of(items, "RoleBinding")] == namespaces
    assert not of(items, "ClusterRoleBinding")


@pytest.mark.parametrize("scope", ["Cluster", "Namespace"])
def test_same_release_name_in_two_namespaces(scope: str) -> None:
    def names(namespace: str) -> set[tuple[str, str, str]]:
        options = ("--namespace", namespace, "--set", f"rbac.scope={scope}")
        items = render("--set", "crds.enabled=false", *options)
        assert items
        return {
            (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
            for item in items
        }

    assert names("one") & names("two") == set()


def test_names_of_the_cluster_are_never_those_of_another_release() -> None:
    """Release `a` in `b-c` against `a-b` in `c`."""
    found = [
        {
            item["metadata"]["name"]
            for item in of(render("--namespace", ns, *options), "ClusterRole")
        }
        for ns, options in (
            ("b-c", ("--set", "fullnameOverride=a")),
            ("c", ("--set", "fullnameOverride=a-b")),
        )
    ]
    assert found[0] & found[1] == set()


@pytest.mark.parametrize(
    ("option", "resource"),
    [
        ("rbac.secrets", "secrets"),
        ("rbac.podMonitors", "podmonitors"),
        ("rbac.standbys", "roles"),
        ("rbac.standbys", "rolebindings"),
    ],
)
@pytest.mark.parametrize("scope", ["Cluster", "Namespace"])
def test_right_is_a_value(option: str, resource: str, scope: str) -> None:
    for value in (True, False):
        options = ("--set", f"rbac.scope={scope}", "--set", f"{option}={str(value).lower()}")
        roles = of(render(*options), "Role" if scope == "Namespace" else "ClusterRole")
        assert (resource in {right.resource for right in rights(roles)}) is value


def test_secrets_are_never_listed() -> None:
    verbs = {r.verb for r in rights(of(render(), "ClusterRole")) if r.resource == "secrets"}
    assert verbs == {"get"}


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_notes_say_what_is_next(enabled: str, tmp_path: Path) -> None:
    """Helm renders them for a cluster only: here they are a value of another template."""
    copy = shutil.copytree(CHART, tmp_path / "ari-proxy")
    text = (copy / "templates" / "NOTES.txt").read_text()
    shown = 'kind: Notes\ntext: {{ include "notes" . | quote }}\n'
    template = f'{{{{ define "notes" }}}}{text}{{{{ end }}}}\n{shown}'
    (copy / "templates" / "notes.yaml").write_text(template)
    options = ("--set", f"operator.enabled={enabled}", "--namespace", "voice")
    done = helm("template", "release", str(copy), "--show-only", "templates/notes.yaml", *options)
    assert done.returncode == 0, done.stderr

    notes = yaml.safe_load(done.stdout)["text"]
    assert ("kubectl apply -n voice" in notes) is (enabled == "true")
    assert ("rbac.scope=Namespace" in notes) is (enabled == "false")
