"""An executor of commands with an ingest that answers it, on a bus in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from ari_proxy.bus.base import Message, SubscriptionHandle
from ari_proxy.command.executor import Executor
from ari_proxy.command.refusals import Refusals
from ari_proxy.command.telemetry import CommandTelemetry
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import Command, CommandResponse, ServerCommandResponse
from ari_proxy.settings.command import CommandSettings
from ari_proxy.settings.load import Settings
from tests.support.event_path import SERVER, Scene, scene

DIALOG = DialogId(f"{SERVER}.0123456789abcdef")
OTHER = DialogId(f"{SERVER}.zyxwvtsrqpnmkjhg")


class Execution:
    """An executor, and its bus, ingest and Asterisk."""

    def __init__(self, path: Scene, settings: CommandSettings) -> None:
        self.path = path
        telemetry = CommandTelemetry(SERVER, path.metrics, path.tap, path.traces)
        self.executor = Executor(
            Settings.model_validate({"server_id": SERVER, "command": settings}),
            path.application.bus,
            path.rest,
            Refusals(telemetry),
            telemetry,
        )
        self._subscriptions: list[SubscriptionHandle] = []

    async def ingest_begins(self) -> None:
        """Start an ingest that answers."""
        for topic, handler in (
            (topics.bindings(SERVER), self.path.registrations.on_binding),
            (topics.owners(SERVER), self.path.registrations.on_question),
        ):
            self._subscriptions.append(await self.path.bus.subscribe(topic, handler))

    async def ingest_ends(self) -> None:
        """Stop the ingest that answers."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def ingest_answers(self, answer: bytes) -> None:
        """Answer in place of an ingest."""
        await self.ingest_ends()
        for topic in (topics.bindings(SERVER), topics.owners(SERVER)):
            handler = partial(self._answer, answer)
            self._subscriptions.append(await self.path.bus.subscribe(topic, handler))

    def _answer(self, answer: bytes, message: Message) -> None:
        self.path.bus.publish(message.reply, answer)

    def open(self, dialog_id: DialogId, channel: str, application: str = "demo") -> None:
        """Open a dialog with a channel."""
        table = self.path.dialogs
        dialog = table.open(dialog_id, application, channel, announce=True, now=0)
        table.adopt(dialog, {channel: True})

    async def do(
        self, method: str, url: str, body: str = "", *, dialog: DialogId = DIALOG
    ) -> CommandResponse:
        """Execute a command of a dialog."""
        return await self.executor.execute(Command("1", url, method, body), dialog)

    async def do_for_server(
        self, method: str, url: str, *, dialog_id: str = ""
    ) -> ServerCommandResponse:
        """Execute a command of the server."""
        response = await self.executor.execute(
            Command("1", url, method, dialog_id=dialog_id), SERVER
        )
        assert isinstance(response, ServerCommandResponse)
        return response

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Return the requests that Asterisk has received."""
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
