"""The event path of an ingest that recovers its dialogs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ari_proxy.ingest.recovery.unserved import Unserved
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import Gap
from tests.support.event_path import Scene, scene
from tests.support.running import until

GAP = Gap("websocket_lost", 1.0)


class Recovering:
    """The event path, with what recovers its dialogs."""

    def __init__(self, path: Scene) -> None:
        self.path = path
        self.recovery = path.recovery

    async def open(self, channel: str) -> Dialog:
        """A call whose application has had its first event."""
        self.path.push("StasisStart", channel)
        dialog = self.path.dialog(channel)
        await self.path.application.listen(dialog.topic)
        await until(lambda: dialog.delivery is DeliveryPhase.OPEN)
        return dialog

    def told(self, topic: str) -> dict[str, Any]:
        """The last event on a topic."""
        body: dict[str, Any] = json.loads(self.path.application.bodies(topic)[-1]["ari_body"])
        return body

    async def run(self) -> Unserved:
        """Reconcile; return the channels that are unserved."""
        return await self.recovery.run(self.recovery.known(), GAP)


@asynccontextmanager
async def recovering(**options: Any) -> AsyncIterator[Recovering]:
    async with scene(unserved_seconds=0, **options) as path:
        await path.application.listen("demo")
        yield Recovering(path)
