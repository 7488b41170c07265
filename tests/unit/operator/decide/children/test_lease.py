"""The Lease of a server's ingests."""

from ari_proxy.operator.decide.children.lease import leases
from tests.support.resources import component


def test_content_belongs_to_the_pods() -> None:
    item = component(has_lease=True)
    (found,) = leases(item)

    assert found["metadata"]["name"] == item.name
    assert "spec" not in found


def test_ingest_may_have_none() -> None:
    assert leases(component()) == []
