"""When the objects of a server that is no longer desired may be deleted."""

from datetime import timedelta

import pytest

from ari_proxy.operator.decide.drain import RETURN_SECONDS, draining_servers, is_drained
from tests.support.resources import Cluster, labels_of, pod


def draining(sample: str = "minimal", **spec: object) -> Cluster:
    """Return a cluster that deployed a server which is no longer desired."""
    cluster = Cluster(sample, **spec)
    cluster.asterisk_pods = [pod("asterisk-a")]
    cluster.settle()
    cluster.asterisk_pods = []
    cluster.resource["spec"]["servers"] = []
    cluster.pods = [pod("ingest", labels=labels_of("asterisk-a"))]
    cluster.dialogs = {"ingest": 0}
    return cluster


def since(cluster: Cluster, seconds: float) -> Cluster:
    """Record in the status that the drain began some seconds ago."""
    begun = (cluster.now - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    cluster.resource["status"] = {
        "servers": [{"name": "other"}, {"name": "asterisk-a", "drainingSince": begun}]
    }
    return cluster


def is_over(cluster: Cluster) -> bool:
    observed = cluster.observed
    (server,) = draining_servers(observed)
    return is_drained(observed, server)


def test_desired_server_is_not_draining() -> None:
    cluster = Cluster()
    cluster.settle()

    assert draining_servers(cluster.observed) == []


def test_drain_begins_when_it_is_first_observed() -> None:
    cluster = draining()
    (server,) = draining_servers(cluster.observed)

    assert (server.name, server.since) == ("asterisk-a", cluster.now)


def test_drain_began_when_the_status_says() -> None:
    cluster = since(draining(), 17)
    (server,) = draining_servers(cluster.observed)

    assert cluster.now - server.since == timedelta(seconds=17)


@pytest.mark.parametrize(
    ("dialogs", "total"),
    [({"ingest": 2, "standby": 1}, 3), ({"ingest": 0, "standby": 0}, 0), ({"ingest": 0}, None)],
)
def test_dialogs_are_known_once_every_ingest_reports(
    dialogs: dict[str, int], total: int | None
) -> None:
    cluster = draining()
    cluster.pods.append(pod("standby", labels=labels_of("asterisk-a")))
    cluster.dialogs = dialogs
    (server,) = draining_servers(cluster.observed)

    assert server.dialogs == total


def test_server_without_pods_has_no_dialogs() -> None:
    cluster = draining()
    cluster.pods = []

    assert is_over(cluster)


@pytest.mark.parametrize("dialogs", [{"ingest": 3}, {}])
def test_dialogs_end_or_the_drain_times_out(dialogs: dict[str, int]) -> None:
    cluster = draining(drainTimeoutSeconds=60)
    cluster.dialogs = dialogs

    assert not is_over(since(cluster, 59))
    assert is_over(since(cluster, 60))


def test_listed_server_is_drained_at_once_without_dialogs() -> None:
    assert is_over(draining())


def test_discovered_server_may_return_for_a_while() -> None:
    """A StatefulSet replaces a pod under its old name."""
    cluster = draining("discovery")

    assert not is_over(cluster)
    assert not is_over(since(cluster, RETURN_SECONDS - 1))
    assert is_over(since(cluster, RETURN_SECONDS))
