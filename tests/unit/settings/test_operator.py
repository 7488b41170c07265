"""The operator's settings, as the chart writes them into its environment."""

import json

import pytest

from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.operator import load_operator


def test_defaults_of_all_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "resources": {"limits": {"memory": "1Gi"}},
        "pod_template": {"spec": {"securityContext": {"runAsUser": None}}},
        "service_account_annotations": {"azure.workload.identity/client-id": "voice"},
    }
    monkeypatch.setenv("ARI_PROXY_INGEST_DEFAULTS", json.dumps(found))
    settings = load_operator()

    assert settings.ingest_defaults.model_dump(exclude_defaults=True) == found
    assert settings.command_defaults.resources is None


@pytest.mark.parametrize("peers", [[], [{"podSelector": {}}]])
def test_peers(monkeypatch: pytest.MonkeyPatch, peers: list[object]) -> None:
    assert load_operator().admin_peers is None
    monkeypatch.setenv("ARI_PROXY_ADMIN_PEERS", json.dumps(peers))
    assert load_operator().admin_peers == tuple(peers)


def test_unknown_default_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARI_PROXY_COMMAND_DEFAULTS", '{"podTemplates": {}}')
    with pytest.raises(SettingsError, match="podTemplates"):
        load_operator()
