"""What an ingest knows of its readiness, and what it asks Asterisk for that."""

from typing import cast

import pytest

from ari_proxy.ari.connection_source import EventSource
from ari_proxy.ingest.active import ActiveIngest
from ari_proxy.ingest.activity import Activity
from ari_proxy.ingest.lease.base import Unshared
from ari_proxy.ingest.readiness import Readiness
from tests.support.applications import NOBODY, SOMEBODY, ApplicationsOnly

APPLICATIONS = tuple(f"app-{number}" for number in range(64))


class Period:
    """An active period, as far as readiness reads it."""

    def __init__(self) -> None:
        self.is_connected = True
        self.connection = object()
        self.replaced: tuple[str, ...] = ()


class Source:
    untrusted = ""


class SharedLease(Unshared):
    """A lease for which another ingest waits."""

    is_shared = True


class Scene:
    def __init__(self, lease: Unshared | None = None) -> None:
        lease = lease or Unshared()
        self.period = Period()
        self.asterisk = ApplicationsOnly()
        self.asterisk.answers = dict.fromkeys(APPLICATIONS, SOMEBODY)
        self.activity = Activity(is_shared=lease.is_shared)
        source = cast("EventSource", Source())
        self.readiness = Readiness(self.activity, lease, APPLICATIONS, self.asterisk, source)
        self.checks = self.readiness.checks

    def begin(self) -> None:
        self.activity.begin(cast("ActiveIngest", self.period))

    async def problem(self) -> str:
        """Return what Asterisk says of the applications, however lately it was asked."""
        return await self.readiness._ask_asterisk()

    def asked(self) -> list[str]:
        found = [url.removeprefix("/applications/") for url in self.asterisk.asked]
        self.asterisk.asked.clear()
        return found


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.begin()
    return found


async def test_asterisk_is_asked_once_for_many_who_ask(scene: Scene) -> None:
    for _ in range(100):
        assert await scene.checks["applications"]() == ""

    assert scene.asked() == [*APPLICATIONS]


async def test_applications_that_are_known_are_asked_for_one_at_a_time(scene: Scene) -> None:
    await scene.problem()
    scene.asked()
    for name in APPLICATIONS[:3]:
        assert await scene.problem() == ""
        assert scene.asked() == [name]


async def test_new_connection_is_asked_about_anew(scene: Scene) -> None:
    assert await scene.checks["applications"]() == ""
    scene.period.connection = object()
    scene.asterisk.answers["app-0"] = NOBODY
    assert await scene.checks["applications"]() == "Asterisk answers 404 for app-0"


async def test_application_that_is_missing_is_asked_for_until_it_is_there(scene: Scene) -> None:
    scene.asterisk.answers["app-63"] = NOBODY
    assert await scene.problem() == "Asterisk answers 404 for app-63"
    assert await scene.problem() == "Asterisk answers 404 for app-63"
    scene.asked()
    scene.asterisk.answers["app-63"] = SOMEBODY
    assert await scene.problem() == ""
    assert scene.asked() == ["app-63", "app-0"]


async def test_asterisk_that_does_not_answer_is_told(scene: Scene) -> None:
    scene.asterisk.answers.clear()

    assert "no answer in time" in await scene.checks["applications"]()


async def test_replaced_application_needs_no_question(scene: Scene) -> None:
    scene.period.replaced = ("app-1", "app-0")

    assert await scene.checks["applications"]() == "another client has taken app-0, app-1"
    assert scene.asked() == []


async def test_standby_asks_nothing_and_tells_what_the_lease_says() -> None:
    lease = SharedLease()
    scene = Scene(lease)
    lease.problem = "no ingest is known to be active"

    assert await scene.checks["applications"]() == ""
    assert await scene.checks["lease"]() == "no ingest is known to be active"
    assert scene.asked() == []
    scene.begin()
    assert await scene.checks["lease"]() == ""


async def test_ingest_without_a_lease_has_no_check_of_it(scene: Scene) -> None:
    assert set(scene.checks) == {"websocket", "applications"}


async def test_lost_websocket_is_told(scene: Scene) -> None:
    scene.period.is_connected = False

    assert await scene.checks["websocket"]() == "the events websocket is not connected"
