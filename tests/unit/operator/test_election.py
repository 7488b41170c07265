"""Of several operators one holds the Lease; the others know when it may be gone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ari_proxy.operator.election import LABELS, NAME, Election, release_of

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DURATION = 15


def election(identity: str = "a") -> Election:
    return Election("kube-system", identity, DURATION)


def held(holder: str, renewed_at: str = "12:00", seconds: int = DURATION) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "renewTime": renewed_at, "leaseDurationSeconds": seconds}
    return {"metadata": {"name": NAME, "resourceVersion": "7", "uid": "u"}, "spec": spec}


def leader(begun_at: float = 100.0) -> Election:
    found = election()
    found.written(found.claim(AT), begun_at)
    return found


def test_free_lease_is_claimed_at_once() -> None:
    for lease in (None, held("")):
        found = election()
        found.observe(lease, 100.0)

        assert found.wait_seconds(100.0) == 0
        assert not found.is_foreign(100.0)
        assert not found.is_leader(100.0)


def test_claim_makes_the_lease() -> None:
    claim = election().claim(AT)

    assert claim["metadata"] == {"name": NAME, "namespace": "kube-system", "labels": LABELS}
    assert claim["spec"] == {
        "holderIdentity": "a",
        "acquireTime": "2026-11-24T12:00:00.000000Z",
        "renewTime": "2026-11-24T12:00:00.000000Z",
        "leaseTransitions": 0,
        "leaseDurationSeconds": DURATION,
    }


def test_leader_counts_from_before_it_wrote() -> None:
    found = leader(begun_at=100.0)

    assert found.is_leader(100.0 + DURATION - 0.1)
    assert not found.is_leader(100.0 + DURATION)


def test_leader_renews_after_a_third_of_the_duration() -> None:
    found = leader(begun_at=100.0)
    claim = found.claim(AT.replace(hour=13))

    assert found.wait_seconds(101.0) == pytest.approx(4.0)
    assert found.wait_seconds(106.0) == 0
    assert claim["spec"]["acquireTime"] == "2026-11-24T12:00:00.000000Z"
    assert claim["spec"]["renewTime"] == "2026-11-24T13:00:00.000000Z"
    assert claim["spec"]["leaseTransitions"] == 0


def test_leader_that_could_not_renew_claims_anew() -> None:
    assert leader(begun_at=100.0).wait_seconds(100.0 + DURATION) == 0


def test_leader_that_sees_another_one_stops_at_once() -> None:
    found = leader(begun_at=100.0)
    found.observe(held("b"), 101.0)

    assert not found.is_leader(101.0)
    assert found.is_foreign(101.0)


def test_others_count_from_when_they_saw_a_renewal() -> None:
    found = election()
    found.observe(held("b"), 100.0)
    found.observe(held("b"), 110.0)
    assert found.wait_seconds(110.0) == pytest.approx(5.0)

    found.observe(held("b", "12:05"), 112.0)
    assert found.wait_seconds(113.0) == pytest.approx(14.0)
    assert found.is_foreign(126.0)


def test_lease_that_is_not_renewed_is_claimed_in_the_version_that_was_seen() -> None:
    found = election()
    found.observe(held("b"), 100.0)
    found.observe(held("b"), 100.0 + DURATION)
    claim = found.claim(AT)

    assert not found.is_foreign(100.0 + DURATION)
    assert found.wait_seconds(100.0 + DURATION) == 0
    assert claim["metadata"]["resourceVersion"] == "7"
    assert claim["spec"]["holderIdentity"] == "a"
    assert claim["spec"]["leaseTransitions"] == 1


def test_duration_is_that_of_the_holder() -> None:
    found = election()
    found.observe(held("b", seconds=60), 100.0)

    assert found.wait_seconds(100.0) == pytest.approx(60.0)


def test_lease_that_is_deleted_is_free() -> None:
    found = election()
    found.observe(held("b"), 100.0)
    found.observe(None, 101.0)

    assert found.holder == ""
    assert found.lease is None
    assert found.wait_seconds(101.0) == 0


@pytest.mark.parametrize(
    ("identity", "release"),
    [
        ("ari-proxy/ari-proxy-69cc9dcbf5-6vnp4_k3j2", "ari-proxy/ari-proxy"),
        ("/laptop_k3j2", "/laptop"),
    ],
)
def test_release_is_the_deployment_of_the_pod(identity: str, release: str) -> None:
    assert release_of(identity) == release
