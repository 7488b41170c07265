"""ServiceAccounts, and the access of ingests to their Leases."""

from ari_proxy.operator.decide.children.access import lease_access, service_account
from tests.support.resources import proxy


def test_account_mounts_no_token() -> None:
    found = service_account(proxy(), "command")

    assert found["metadata"]["name"] == "minimal-command"
    assert found["automountServiceAccountToken"] is False


def test_role_allows_the_named_leases_alone() -> None:
    role, binding = lease_access(proxy(), ["a", "b"])

    assert role["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["a", "b"],
            "verbs": ["get", "update"],
        }
    ]
    (subject,) = binding["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "minimal-ingest", "namespace": "voice"}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_there_is_no_access_without_leases() -> None:
    """A rule with an empty list of names would allow every Lease."""
    assert lease_access(proxy(), []) == []
