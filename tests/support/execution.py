"""What executes commands, with an ingest that answers it: on a bus in memory, without a network."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from ari_proxy.bus.base import Message, SubscriptionHandle
from ari_proxy.command.authorization.authorizer import Guard
from ari_proxy.command.executor import Executor
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import Command, CommandResponse
from ari_proxy.settings.command import CommandSettings
from tests.support.event_path import SERVER, Scene, scene

DIALOG = DialogId(f"{SERVER}.0123456789abcdef")
OTHER = DialogId(f"{SERVER}.zyxwvtsrqpnmkjhg")


class Execution:
    """An executor, and what it talks to."""

    def __init__(self, path: Scene, settings: CommandSettings) -> None:
        self.path = path
        self.guard = Guard(SERVER, path.application.bus, settings)
        self.executor = Executor(
            SERVER,
            path.rest,
            path.application.bus,
            self.guard,
            metrics=path.metrics,
            tap=path.tap,
            traces=path.traces,
            dialog_form="token",
        )
        self._subscriptions: list[SubscriptionHandle] = []

    async def ingest_begins(self) -> None:
        """Have an ingest answer from now on."""
        for topic, handler in (
            (topics.bindings(SERVER), self.path.registrations.on_binding),
            (topics.owners(SERVER), self.path.registrations.on_question),
        ):
            self._subscriptions.append(await self.path.bus.subscribe(topic, handler))

    async def ingest_ends(self) -> None:
        """Have no ingest answer any more."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def ingest_answers(self, answer: bytes) -> None:
        """Have something else than an ingest answer."""
        await self.ingest_ends()
        for topic in (topics.bindings(SERVER), topics.owners(SERVER)):
            handler = partial(self._answer, answer)
            self._subscriptions.append(await self.path.bus.subscribe(topic, handler))

    def _answer(self, answer: bytes, message: Message) -> None:
        self.path.bus.publish(message.reply, answer)

    def open(self, dialog_id: DialogId, channel: str, application: str = "demo") -> None:
        """Have a dialog with a channel."""
        table = self.path.dialogs
        dialog = table.open(dialog_id, application, channel, announce=True, now=0)
        table.adopt(dialog, {channel: True})

    async def do(
        self, method: str, url: str, body: str = "", *, dialog: DialogId = DIALOG
    ) -> CommandResponse:
        """Execute a command of a dialog."""
        return await self.executor.execute(Command("1", url, method, body), dialog)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """What Asterisk was asked."""
        return [(request.method, request.target) for request in self.path.asterisk.requests]


def error_of(response: CommandResponse) -> tuple[int, str, bool]:
    """Return a refusal's status, its reason, and whether Asterisk was asked."""
    body: dict[str, Any] = json.loads(response.response_body)
    return response.status_code, body["error"].removeprefix("ari_proxy."), body["sent"]


@asynccontextmanager
async def execution(
    settings: CommandSettings | None = None, **options: Any
) -> AsyncIterator[Execution]:
    async with scene(**options) as path:
        made = Execution(path, settings or CommandSettings())
        await made.ingest_begins()
        yield made
