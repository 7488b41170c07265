"""The names of leases."""

import pytest

from ari_proxy.ingest.lease import factory as leases
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load


@pytest.mark.parametrize(
    ("server", "name", "expected"),
    [("berlin-1", "", "ari-proxy-berlin-1"), ("Berlin_1", "berlin.voice", "berlin.voice")],
)
def test_lease_is_named_after_the_server_or_as_the_settings_say(
    server: str, name: str, expected: str
) -> None:
    settings = load(server_id=server, lease={"kind": "kubernetes", "name": name})

    assert vars(leases.lease(settings))["_name"] == expected


@pytest.mark.parametrize("server", ["Berlin-1", "berlin_1", "berlin-", "m\u00fcnchen", "-"])
def test_server_that_cannot_name_a_lease_needs_another_name_for_it(server: str) -> None:
    """Else two servers, A and a, would share one lease, of which one waits for ever."""
    assert load(server_id=server, lease={"kind": "none"})
    with pytest.raises(SettingsError, match=rf"lease\.name.*{server}"):
        load(server_id=server, lease={"kind": "kubernetes"})


@pytest.mark.parametrize("field", ["name", "namespace"])
@pytest.mark.parametrize("value", ["A", "a b", "a_b", "-a", "a/b", "x" * 254])
def test_name_that_kubernetes_would_refuse_is_refused_at_the_start(field: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"lease\.{field}.*RFC 1123"):
        load(lease={"kind": "kubernetes", field: value})
