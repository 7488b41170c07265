"""Who may have a Kubernetes Lease, and until when; two candidates with clocks of their own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ari_proxy.ingest.lease.record import Claim, LeaseRecord, parse

DURATION = 3
START = datetime(2026, 1, 1, tzinfo=UTC)


class Candidate:
    def __init__(self, name: str, *, clock_offset: float = 0) -> None:
        self.time = clock_offset
        self.claim = Claim("lease", name, duration_seconds=DURATION)

    @property
    def is_valid(self) -> bool:
        return self.claim.is_valid(self.time)

    def observe(self, record: LeaseRecord | None) -> bool:
        return self.claim.observe(record, self.time)

    def write(self, record: LeaseRecord | None) -> LeaseRecord:
        """Write the claim, as Kubernetes would store it."""
        begun_at = self.time
        stored = self.claim.claim(record, START + timedelta(seconds=self.time))
        stored["metadata"]["resourceVersion"] = f"{int(record.version) + 1 if record else 1}"
        self.claim.written(begun_at)
        return parse(stored)


def test_lease_that_nobody_has_is_taken_at_once() -> None:
    first = Candidate("a")

    assert first.observe(LeaseRecord(version="1"))
    record = first.write(LeaseRecord(version="1"))

    assert (record.holder, record.transitions, record.version) == ("a", 1, "2")
    assert first.is_valid


def test_holder_knows_that_it_is_over_before_another_one_may_take_it() -> None:
    holder, other = Candidate("a"), Candidate("b", clock_offset=1000)
    record = holder.write(None)
    other.time += 0.1  # It sees it a moment later.
    assert not other.observe(record)
    for seconds in (1.0, 1.8):
        holder.time += seconds
        other.time += seconds
        assert not other.observe(record)
        assert holder.is_valid
    holder.time += 0.25
    other.time += 0.25

    assert not holder.is_valid
    assert other.observe(record)


def test_lease_keeps_its_owner_and_labels_whoever_writes_it() -> None:
    holder = Candidate("a")
    made = {"name": "lease", "resourceVersion": "7", "labels": {"x": "y"}, "ownerReferences": [{}]}
    record = parse({"metadata": made})

    for lease in (holder.claim.claim(record, START), holder.claim.resignation(record)):
        assert lease["metadata"] == made


def test_holder_goes_on_while_kubernetes_cannot_be_asked() -> None:
    holder = Candidate("a")
    holder.write(None)
    for _ in range(10):
        holder.time += 2
        holder.claim.presumed(holder.time)

    assert holder.is_valid


def test_lease_that_is_over_is_not_presumed_to_be_ours() -> None:
    holder = Candidate("a")
    holder.write(None)
    holder.time += DURATION  # Frozen.
    holder.claim.presumed(holder.time)

    assert not holder.is_valid


def test_renewed_lease_is_not_over_and_keeps_its_beginning() -> None:
    holder, other = Candidate("a"), Candidate("b")
    record = first = holder.write(None)
    for _ in range(5):
        holder.time += 2
        other.time += 2
        assert holder.observe(record)
        record = holder.write(record)
        assert not other.observe(record)

    assert holder.is_valid
    assert (record.acquired_at, record.transitions) == (first.acquired_at, 0)
    assert record.renewed_at > first.renewed_at


def test_successor_counts_the_transition_and_a_returning_holder_has_to_wait() -> None:
    holder, other = Candidate("a"), Candidate("b")
    record = holder.write(None)
    for _ in range(DURATION):
        assert not other.observe(record)
        other.time += 1
    assert other.observe(record)
    record = other.write(record)

    assert (record.holder, record.transitions) == ("b", 1)
    assert not holder.observe(record)
    holder.claim.lost()
    assert not holder.is_valid


def test_resignation_lets_others_have_it_at_once() -> None:
    holder, other = Candidate("a"), Candidate("b")
    record = holder.write(None)
    assert not other.observe(record)

    stored = holder.claim.resignation(record)

    assert stored["metadata"] == {"name": "lease", "resourceVersion": "1"}
    assert other.observe(parse(stored))


def test_candidate_that_could_not_read_the_lease_gives_its_holder_time_to_renew_it() -> None:
    holder, other = Candidate("a"), Candidate("b")
    record = holder.write(None)
    assert not other.observe(record)
    other.time += 10 * DURATION  # The API server is away, for the holder too.

    assert not other.observe(record)
    other.time += DURATION / 2
    assert not other.observe(record)
    other.time += DURATION / 2
    assert other.observe(record)


@pytest.mark.parametrize("made_anew", [None, LeaseRecord(version="9")])
def test_lease_that_is_lost_is_left_to_its_holder_for_a_while(
    made_anew: LeaseRecord | None,
) -> None:
    holder, other, newcomer = Candidate("a"), Candidate("b"), Candidate("c")
    assert not other.observe(holder.write(None))

    assert holder.observe(made_anew)
    assert not other.observe(made_anew)
    assert newcomer.observe(made_anew)  # It has to be taken at once where nobody had it.
    for _ in range(DURATION - 1):
        other.time += 1
        assert not other.observe(made_anew)
    other.time += 1
    assert other.observe(made_anew)


def test_nobody_leads_once_an_expired_lease_is_not_claimed_for_its_duration() -> None:
    holder, other = Candidate("a"), Candidate("b")
    assert not other.claim.is_led(other.time)
    record = holder.write(None)
    other.observe(record)
    assert other.claim.is_led(other.time)
    other.time += 1.9 * DURATION
    other.observe(record)
    assert other.claim.is_led(other.time)
    other.time += 0.2 * DURATION
    other.observe(record)

    assert not other.claim.is_led(other.time)


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": None, "leaseTransitions": None}])
def test_lease_without_a_holder_is_free(spec: Any) -> None:
    record = parse({"metadata": {"resourceVersion": "7"}, "spec": spec})

    assert record == LeaseRecord(version="7")


@pytest.mark.parametrize("answer", [{}, {"spec": []}, {"spec": {}, "metadata": 7}])
def test_lease_of_another_shape_is_free(answer: Any) -> None:
    assert parse(answer) == LeaseRecord()
