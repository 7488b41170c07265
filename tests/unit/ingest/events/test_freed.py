"""When an application that another client had taken is taken again; time does not wait."""

import asyncio
from collections.abc import Awaitable, Callable

from ari_proxy.ari.client import Answer
from ari_proxy.ingest.events.freed import FreedApplications
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.testing.virtual_time import VirtualTimeLoop
from tests.support.applications import NOBODY, SOMEBODY, ApplicationsOnly
from tests.support.permit import SwitchedPermit

LOOK = 5.0


class Scene:
    def __init__(self) -> None:
        self.asterisk = ApplicationsOnly()
        self.permit = SwitchedPermit()
        self.replaced = ReplacedApplications(["demo", "voicemail"])
        self.freed = FreedApplications(
            self.asterisk, self.replaced, permit=self.permit, look_seconds=LOOK
        )

    async def taken_again(self, looks: float) -> frozenset[str] | None:
        """Return what is taken again within some looks, or None."""
        try:
            async with asyncio.timeout(looks * LOOK):
                return await self.freed.wait()
        except TimeoutError:
            return None


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        await act(Scene())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_application_that_nobody_has_any_more_is_taken_again() -> None:
    async def act(scene: Scene) -> None:
        scene.replaced.note("demo")
        scene.asterisk.answers["demo"] = NOBODY
        assert await scene.taken_again(looks=1.5) is None
        assert await scene.taken_again(looks=2.5) == frozenset({"demo"})

    play(act)


def test_nobody_is_asked_of_applications_that_are_ours() -> None:
    async def act(scene: Scene) -> None:
        assert await scene.taken_again(looks=10) is None
        assert scene.asterisk.asked == []

    play(act)


def test_living_owner_keeps_it_and_one_that_connects_again_too() -> None:
    async def act(scene: Scene) -> None:
        scene.replaced.note("demo")
        scene.asterisk.answers["demo"] = SOMEBODY
        waiting = asyncio.ensure_future(scene.taken_again(looks=20))
        await asyncio.sleep(5.5 * LOOK)
        scene.asterisk.answers["demo"] = NOBODY
        await asyncio.sleep(LOOK)
        scene.asterisk.answers["demo"] = SOMEBODY
        assert await waiting is None

    play(act)


def test_each_application_is_its_own_owners() -> None:
    async def act(scene: Scene) -> None:
        scene.replaced.note("demo")
        scene.replaced.note("voicemail")
        scene.asterisk.answers = {"demo": NOBODY, "voicemail": SOMEBODY}
        assert await scene.taken_again(looks=3) == frozenset({"demo"})

    play(act)


def test_asterisk_that_does_not_say_it_proves_nothing() -> None:
    async def act(scene: Scene) -> None:
        scene.replaced.note("demo")
        assert await scene.taken_again(looks=5) is None
        for answer in (Answer(404, "<html>"), Answer(403, ""), Answer(503, "")):
            scene.asterisk.answers["demo"] = answer
            assert await scene.taken_again(looks=5) is None

    play(act)


def test_application_of_a_successor_or_without_the_permit_is_left_alone() -> None:
    async def act(scene: Scene) -> None:
        scene.replaced.note("demo")
        scene.asterisk.answers["demo"] = NOBODY
        scene.permit.is_given = False
        assert await scene.taken_again(looks=5) is None
        scene.permit.is_given = True
        scene.replaced.expect()
        assert await scene.taken_again(looks=5) is None

    play(act)
