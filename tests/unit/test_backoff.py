import pytest

from ari_proxy.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"),
    [(1, 0.5, 1), (2, 1, 2), (4, 4, 8), (5, 5, 10), (999, 5, 10)],
)
def test_waits_double_up_to_the_last(failures: int, shortest: float, longest: float) -> None:
    assert Backoff(1, 10, jitter=lambda: 0).seconds(failures) == shortest
    assert Backoff(1, 10, jitter=lambda: 1).seconds(failures) == longest
    assert shortest <= Backoff(1, 10).seconds(failures) <= longest
