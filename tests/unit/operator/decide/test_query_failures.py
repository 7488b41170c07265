"""A failed query is logged once, though the query is repeated."""

from ari_proxy.operator.decide.query_failures import QueryFailures
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.state import QueryFailure
from tests.support.resources import Cluster

KEY, OTHER = ResourceKey("voice", "minimal"), ResourceKey("voice", "other")
BROKEN = QueryFailure("dialogs", "p", "GET /dialogs/count answered 500")
STARTING = QueryFailure("checks", "q", "connection failed: Connection refused")


def new(
    failures: QueryFailures, *observed: QueryFailure, key: ResourceKey = KEY
) -> list[QueryFailure]:
    cluster = Cluster()
    cluster.query_failures = set(observed)
    return failures.new(key, cluster.observed)


def test_failure_is_new_once() -> None:
    failures = QueryFailures()

    assert new(failures, BROKEN, STARTING) == [STARTING, BROKEN]
    assert new(failures, BROKEN, STARTING) == []


def test_another_reason_is_new() -> None:
    failures = QueryFailures()
    new(failures, BROKEN)
    other = BROKEN._replace(reason="no answer within 3 s")

    assert new(failures, other) == [other]


def test_failure_after_a_success_is_new() -> None:
    failures = QueryFailures()
    new(failures, BROKEN)

    assert new(failures) == []
    assert new(failures, BROKEN) == [BROKEN]


def test_each_query_of_a_pod_may_fail() -> None:
    failures = QueryFailures()
    new(failures, STARTING)
    draining = QueryFailure("dialogs", STARTING.pod, STARTING.reason)

    assert new(failures, STARTING, draining) == [draining]


def test_resources_are_separate_and_forgotten() -> None:
    failures = QueryFailures()
    new(failures, BROKEN)

    assert new(failures, BROKEN, key=OTHER) == [BROKEN]
    failures.forget(KEY)
    assert new(failures, BROKEN) == [BROKEN]
