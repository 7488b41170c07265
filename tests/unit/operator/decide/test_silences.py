"""What is said of pods that do not tell: once, though they are asked again and again."""

from ari_proxy.operator.decide.silences import Silences
from ari_proxy.operator.observe.state import Silence
from tests.support.resources import Cluster

KEY = ("voice", "minimal")
FAILS = Silence("dialogs", "p", "it answers 500 to /dialogs/count")
STARTS = Silence("complaint", "q", "it can't be reached: Connection refused")


def news(silences: Silences, *found: Silence, key: tuple[str, str] = KEY) -> list[Silence]:
    cluster = Cluster()
    cluster.silences = set(found)
    return silences.news(key, cluster.observed)


def test_silence_is_said_once() -> None:
    silences = Silences()

    assert news(silences, FAILS, STARTS) == [STARTS, FAILS]
    assert news(silences, FAILS, STARTS) == []


def test_another_reason_is_said() -> None:
    silences = Silences()
    news(silences, FAILS)
    other = FAILS._replace(reason="it does not answer within 3 s")

    assert news(silences, other) == [other]


def test_pod_that_is_silent_again_is_said_again() -> None:
    silences = Silences()
    news(silences, FAILS)

    assert news(silences) == []
    assert news(silences, FAILS) == [FAILS]


def test_same_pod_may_be_silent_twice() -> None:
    silences = Silences()
    news(silences, STARTS)
    leaving = Silence("dialogs", *STARTS[1:])

    assert news(silences, STARTS, leaving) == [leaving]


def test_resources_are_apart_and_forgotten() -> None:
    silences = Silences()
    news(silences, FAILS)

    assert news(silences, FAILS, key=("voice", "other")) == [FAILS]
    silences.forget(KEY)
    assert news(silences, FAILS) == [FAILS]
