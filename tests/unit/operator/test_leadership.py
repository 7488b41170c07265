"""Where an operator may write while its Lease, or that of another one, comes and goes."""

import asyncio
from collections.abc import Awaitable, Callable

from ari_proxy.operator.election import LABELS, NAME
from ari_proxy.operator.leadership import Leadership
from ari_proxy.operator.objects import Object
from ari_proxy.testing.virtual_time import VirtualTimeLoop
from tests.support.scripted_api import ScriptedApi

DURATION = 6
PLACE = "kube-system"


class Scene:
    """An operator for all namespaces, at an API server."""

    def __init__(self) -> None:
        self.api = ScriptedApi()
        self.clock = asyncio.get_running_loop().time
        self.leadership = Leadership(
            self.api.kubernetes, (), PLACE, "ari-proxy/us-1-a_1", DURATION, self.clock
        )
        #: How often it was told that what it leads has changed.
        self.changes = 0

    def changed(self) -> None:
        self.changes += 1

    def leads(self, namespace: str = "voice") -> bool:
        return self.leadership.leads(namespace)

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for at most some durations."""
        async with asyncio.timeout(20 * DURATION):
            while not is_true():
                await asyncio.sleep(0.05)


def lease_path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    """Play a scene in time that does not wait."""

    async def main() -> None:
        scene = Scene()
        running = asyncio.create_task(scene.leadership.run(scene.changed))
        await act(scene)
        running.cancel()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_lapse_is_told_though_the_lease_is_had_again() -> None:
    async def act(scene: Scene) -> None:
        await scene.until(scene.leads)
        await scene.until(lambda: scene.changes == 1)
        scene.api.before = lambda method, _: 500 if method == "PUT" else None
        await scene.until(lambda: len(scene.api.paths("PUT")) == 1)
        # The next claim is written in time, and its answer comes too late.
        scene.api.before = lambda *_: None
        scene.api.delays["PUT"] = DURATION / 2
        await scene.until(lambda: not scene.leads())
        await scene.until(scene.leads)

        await scene.until(lambda: scene.changes == 2)

    play(act)


def foreign(renewed_at: str) -> Object:
    return {
        "metadata": {"name": NAME, "namespace": "voice", "labels": LABELS},
        "spec": {
            "holderIdentity": "own/own-1-b_2",
            "renewTime": renewed_at,
            "leaseDurationSeconds": DURATION,
        },
    }


async def left(scene: Scene) -> None:
    """Have another operator look after `voice`."""
    scene.api.put(lease_path("voice"), foreign("12:00"))
    await scene.until(lambda: scene.leads(PLACE))
    assert not scene.leads("voice")


def test_namespace_of_others_is_theirs_though_the_watch_has_stalled() -> None:
    async def act(scene: Scene) -> None:
        await left(scene)
        for minute in range(4 * DURATION):
            scene.api.put(lease_path("voice"), foreign(f"12:{minute:02}"))
            await asyncio.sleep(1)
            assert not scene.leads("voice")

    play(act)


def test_namespace_of_others_is_taken_over_when_their_lease_is_read_and_over() -> None:
    async def act(scene: Scene) -> None:
        await left(scene)
        scene.api.before = lambda *request: 500 if request == ("GET", lease_path("voice")) else None
        await asyncio.sleep(4 * DURATION)
        assert not scene.leads("voice")

        scene.api.before = lambda *_: None
        await scene.until(lambda: scene.leads("voice"))

    play(act)


def test_namespace_of_others_is_taken_over_when_their_lease_is_gone() -> None:
    async def act(scene: Scene) -> None:
        await left(scene)
        del scene.api.objects[lease_path("voice")]
        await scene.until(lambda: scene.leads("voice"))

    play(act)


def test_own_lease_that_is_gone_is_made_anew_though_the_watch_still_has_it() -> None:
    async def act(scene: Scene) -> None:
        await scene.until(scene.leads)
        del scene.api.objects[lease_path(PLACE)]

        await scene.until(lambda: lease_path(PLACE) in scene.api.objects)
        assert scene.leads()

    play(act)


def test_released_lease_is_deleted() -> None:
    async def act(scene: Scene) -> None:
        await scene.until(scene.leads)
        await scene.leadership.release()
        assert lease_path(PLACE) not in scene.api.objects

    play(act)


def test_lease_that_another_operator_claims_meanwhile_is_not_deleted() -> None:
    async def act(scene: Scene) -> None:
        await scene.until(scene.leads)
        claimed = foreign("12:00")
        claimed["metadata"]["namespace"] = PLACE

        def claim(method: str, _: str) -> None:
            if method == "DELETE":
                scene.api.put(lease_path(PLACE), claimed)

        scene.api.before = claim
        await scene.leadership.release()
        assert scene.api.objects[lease_path(PLACE)]["spec"] == claimed["spec"]

    play(act)
