"""The commands of one call: sent on its topic, each awaited until its response arrives."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol

import msgspec

from ari_proxy.bus.base import DropReason, Handler, Message, SubscriptionHandle
from ari_proxy.lazy_logger import LazyLogger
from ari_proxy.protocol import ids, messages, topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import Command, CommandResponse

from .errors import NotSent
from .remedies import remedy_of

_log = LazyLogger()

#: Drops what the bus has yet to send on a topic, and tells it as lost.
Withdraw = Callable[[str], object]
#: Why a message was not sent, by the bus's reason; after `connection_lost` it may have been.
_NOT_SENT: Final[dict[DropReason, str]] = {
    "full": "the buffer of the bus's client was full",
    "refused": "the bus does not take it: it is too large, or the account has no right to send it",
    "returned": "it has no queue: the dialog has ended, or RabbitMQ's node is away",
    "rejected": "the bus did not store it",
    "discarded": "the bus has taken nothing since",
}

_response: Final = msgspec.json.Decoder(CommandResponse)


class Topics(Protocol):
    """The part of a bus that an application needs."""

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        """Send a message; with `once` it is never sent twice, and may be lost instead."""

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`."""


def name_of(command: Command) -> str:
    """Return what names a command in errors: no values of parameters, which may be secret."""
    return f"{command.method} {command.url.partition('?')[0]}"


def _is_harmless(command: Command) -> bool:
    """Return whether a command may be executed twice, and nothing need be asked before that.

    A second `continue` would take a channel from the application that the dialplan has since
    brought it to.
    """
    remedy = remedy_of(command.method, command.url)
    return remedy is not None and remedy.may_repeat and not remedy.inquiry


class SentCommand:
    """A command that was sent, and may be sent again."""

    def __init__(
        self, publish: Callable[[], None], response: "asyncio.Future[CommandResponse]"
    ) -> None:
        self._publish = publish
        self._response = response
        #: How often.
        self.times = 0
        self.send()

    def send(self) -> None:
        """Send it, once more if it was before."""
        self.times += 1
        self._publish()

    async def response(self, within_seconds: float | None) -> CommandResponse | None:
        """Return its response, or None if none has come in time; later it may come yet.

        Raises:
            NotSent: the bus has not taken it.
        """
        if within_seconds is not None:
            await asyncio.wait([self._response], timeout=within_seconds)
            if not self._response.done():
                return None
        return await self._response


class CallCommands:
    """Sends the commands of one call and matches the responses to them."""

    def __init__(
        self,
        bus: Topics,
        dialog_id: str,
        *,
        withdraw: Withdraw = lambda _: None,
        is_shared: bool = False,
    ) -> None:
        """Initialise without a command.

        Args:
            bus: takes them.
            dialog_id: of the call.
            withdraw: drops what the bus has not sent on a topic.
            is_shared: whether another process may send commands of the call, and have ours
                answered: the ids differ from its own.
        """
        self._bus = bus
        self._withdraw = withdraw
        self._dialog_id = dialog_id
        self._topic = topics.commands(DialogId(dialog_id))
        self._awaited: dict[str, asyncio.Future[CommandResponse]] = {}
        #: How often each was published, and lost before it was sent.
        self._published: Counter[str] = Counter()
        self._not_sent: Counter[str] = Counter()
        self._prefix = f"{ids.random_id(ids.TOKEN_LENGTH)}-" if is_shared else ""
        self._ids = itertools.count(1)

    def new(self, method: str, url: str, body: str = "") -> Command:
        """Return a command with an id of its own."""
        return Command(f"{self._prefix}{next(self._ids)}", url, method, body)

    async def send(self, command: Command, *, timeout_seconds: float) -> CommandResponse:
        """Send a command and return its response.

        Raises:
            NotSent: the bus has not taken it.
            TimeoutError: no response arrived in time.
        """
        (response,) = await self._send([command], messages.encode(command), timeout_seconds)
        return response

    async def send_all(
        self,
        commands: list[Command],
        *,
        timeout_seconds: float,
        again_seconds: float | None = None,
    ) -> list[CommandResponse]:
        """Send at most MAX_COMMANDS commands in one message and return their responses.

        Args:
            commands: in order.
            timeout_seconds: for all responses.
            again_seconds: after which those without a response are sent once more that do no harm
                twice: their executor may have died with them. None for none.

        Raises:
            NotSent: the bus has not taken them.
            TimeoutError: the responses did not arrive in time.
        """
        payload = messages.encode_all(commands)
        return await self._send(commands, payload, timeout_seconds, again_seconds)

    @contextmanager
    def sending(self, command: Command, *, timeout_seconds: float) -> "Iterator[SentCommand]":
        """Send a command, and wait for its response during a block.

        Raises:
            NotSent: the bus has not taken it until the block has timed out.
            TimeoutError: the block has timed out.
        """
        with self._awaiting([command]) as (response,):
            publish = partial(self._publish, [command], messages.encode(command))
            sent = SentCommand(publish, response)
            try:
                yield sent
            except TimeoutError:
                raise self._given_up([command], timeout_seconds) from None

    async def _send(
        self,
        commands: list[Command],
        payload: bytes,
        timeout_seconds: float,
        again_seconds: float | None = None,
    ) -> list[CommandResponse]:
        with self._awaiting(commands) as responses:
            self._publish(commands, payload)
            try:
                async with asyncio.timeout(timeout_seconds):
                    if again_seconds is not None:
                        await asyncio.wait(responses, timeout=again_seconds)
                        self._publish_left(commands, responses)
                    return [await response for response in responses]
            except TimeoutError:
                raise self._given_up(commands, timeout_seconds) from None

    def _publish_left(
        self, commands: list[Command], responses: "list[asyncio.Future[CommandResponse]]"
    ) -> None:
        """Send those commands again that have no response and do no harm twice."""
        both = zip(commands, responses, strict=True)
        left = [
            command for command, response in both if not response.done() and _is_harmless(command)
        ]
        if left:
            self._publish(left, messages.encode_all(left))

    def _publish(self, commands: list[Command], payload: bytes) -> None:
        self._published.update(command.unique_id for command in commands)
        self._bus.publish(self._topic, payload, once=True)

    @contextmanager
    def _awaiting(
        self, commands: list[Command]
    ) -> "Iterator[list[asyncio.Future[CommandResponse]]]":
        loop = asyncio.get_running_loop()
        awaited: dict[str, asyncio.Future[CommandResponse]] = {
            command.unique_id: loop.create_future() for command in commands
        }
        self._awaited |= awaited
        try:
            yield list(awaited.values())
        finally:
            self._forget(awaited)

    def _given_up(self, commands: list[Command], timeout_seconds: float) -> Exception:
        """Withdraw commands without a response; return the error that stands for that."""
        what = ", ".join(map(name_of, commands))
        self._withdraw(self._topic)  # Nothing shall be executed after its caller has gone on.
        if any(self._is_lost(command.unique_id) for command in commands):
            return NotSent(what, _NOT_SENT["discarded"])
        return TimeoutError(f"no response to {what} within {timeout_seconds:g} s")

    def _is_lost(self, unique_id: str) -> bool:
        """Return whether a command was never sent, however often it was published."""
        return 0 < self._published[unique_id] <= self._not_sent[unique_id]

    def _forget(self, awaited: "dict[str, asyncio.Future[CommandResponse]]") -> None:
        for unique_id, response in awaited.items():
            self._awaited.pop(unique_id, None)
            del self._published[unique_id], self._not_sent[unique_id]
            if response.done() and not response.cancelled():
                response.exception()  # Another one has raised: asyncio need not complain.

    def lose(self, payload: bytes, reason: DropReason) -> None:
        """Handle that the bus has lost a message of this call."""
        if reason not in _NOT_SENT:
            return
        for command in messages.decode_commands(payload):
            waiting = self._awaited.get(command.unique_id)
            if waiting is None:
                continue
            self._not_sent[command.unique_id] += 1
            if self._is_lost(command.unique_id) and not waiting.done():
                waiting.set_exception(NotSent(name_of(command), _NOT_SENT[reason]))

    def take_response(self, message: Message) -> None:
        """Handle a message of the responses topic."""
        try:
            response = _response.decode(message.payload)
        except UNDECODABLE as error:
            _log.error("response.lost", dialog_id=self._dialog_id, error=str(error))
            return
        waiting = self._awaited.pop(response.unique_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)
