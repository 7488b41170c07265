"""One connection to RabbitMQ: aiormq's, with a callback when blocked, and an immediate abort.

Nothing here reconnects or retries.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, Self, TypeVar, cast

import aiormq
from aiormq.auth import AuthBase, AuthMechanism
from aiormq.exceptions import AMQPError
from pamqp import commands
from yarl import URL

from ari_proxy.__about__ import __version__

from . import frames
from .channel import AmqpChannel
from .errors import AmqpError, ConnectionLostError, translate, translated
from .publishing_channels import AskingChannel, PublishingChannel
from .transport import Transport

_CONTENT_KINDS: Final = (frames.HEADER, frames.BODY)
_CONTENT_METHODS: Final = (frames.DELIVER, frames.RETURN)
C = TypeVar("C", bound=AmqpChannel)
CLOSE_SECONDS: Final = 1.0
#: Intervals of heartbeats without any frame after which RabbitMQ counts as dead.
_SILENT_HEARTBEATS: Final = 2
#: What a connection has at most; RabbitMQ may allow less.
CHANNELS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """As whom to connect, and to what."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    #: By the client's certificate instead, where RabbitMQ offers that (EXTERNAL).
    by_certificate: bool = False
    virtual_host: str = "/"
    #: Shown in RabbitMQ's list of connections.
    name: str = ""
    tls: ssl.SSLContext | None = None
    #: The name that stands in the server's certificate; '' for the host.
    server_name: str = ""
    #: Seconds that both sides agree on: RabbitMQ takes a client for dead that was silent for two to
    #: three times as long, and then gives its work to another.
    heartbeat_seconds: int = 10


class _Plain(AuthBase):
    """A user and a password (RFC 4616); aiormq's own takes an empty password for 'guest'."""

    def __init__(self, connection: aiormq.abc.AbstractConnection, login: Login) -> None:
        super().__init__(connection)
        self._login = login

    def encode(self) -> str:
        """Return the response."""
        return f"\0{self._login.user}\0{self._login.password}"


class AmqpConnection(aiormq.Connection):
    """One connection; `open` makes it."""

    #: No bound in frames that wait to be sent: when it is reached, aiormq leaves out its answer to
    #: a channel's end. It sends no more here than channels' beginnings and ends, and heartbeats.
    FRAME_BUFFER_SIZE = 0

    def __init__(self, login: Login) -> None:
        self._transport = Transport(
            self._handle_frame, login.host, login.port, login.tls, login.server_name
        )
        super().__init__(
            _url(login.heartbeat_seconds),
            transport_factory=self._transport,
            client_properties={
                "product": "ari-proxy",
                "version": __version__,
                "connection_name": login.name,
            },
        )
        self.vhost = login.virtual_host
        self._login = login
        #: Why RabbitMQ accepts no messages now, or ''.
        self._blocked_by = ""
        self._unblocked = asyncio.Event()
        self._unblocked.set()
        self._on_blocked: Callable[[str], None] = lambda _: None
        self._endings: set[asyncio.Task[Any]] = set()
        #: Why it ended; set once.
        self.lost: asyncio.Future[ConnectionLostError] = asyncio.get_running_loop().create_future()

    def __str__(self) -> str:
        """Return what aiormq's errors and logs call it: its address, no account."""
        return f"{self._login.host}:{self._login.port}"

    # How it begins and ends

    @classmethod
    async def open(cls, login: Login) -> Self:
        """Connect and log in; the caller sets the deadline.

        Raises:
            OSError, ssl.SSLError: there is no connection.
            AmqpError: RabbitMQ refuses it.
        """
        connection = cls(login)
        try:
            await connection.connect()
        except AMQPError as error:
            raise connection._why_lost(error) from error
        except asyncio.CancelledError:
            await connection.drop()  # It may have been opened just now.
            raise
        finally:
            if not connection.is_opened:
                connection.abort()
        connection.closing.add_done_callback(connection._on_closing)
        return connection

    def _credentials_class(self, start_frame: commands.Connection.Start) -> AuthMechanism:
        """Choose how to log in; aiormq calls this."""
        login, offered = self._login, start_frame.mechanisms or ""
        if login.by_certificate and "EXTERNAL" in offered.split():
            return AuthMechanism.EXTERNAL
        if "PLAIN" not in offered.split():
            raise ConnectionLostError(f"RabbitMQ offers {offered} only")
        plain = SimpleNamespace(name="PLAIN", value=lambda connection: _Plain(connection, login))
        return cast("AuthMechanism", plain)  # aiormq reads its `name` and `value`.

    def _why_lost(self, error: BaseException | None) -> AmqpError:
        if self._transport.close_reason:
            text = f"RabbitMQ closed the connection: {self._transport.close_reason}"
            return ConnectionLostError(text)
        return translate(error)

    def _on_closing(self, closing: asyncio.Future[Any]) -> None:
        error = self._why_lost(None if closing.cancelled() else closing.exception())
        if not self.lost.done():
            lost = error if isinstance(error, ConnectionLostError) else ConnectionLostError(error)
            self.lost.set_result(lost)
        self._unblocked.set()

    async def end(self) -> None:
        """End it in order, or after a moment at once."""
        deadline = self.loop.call_later(CLOSE_SECONDS, self.abort)
        try:
            await self.close(ConnectionLostError("the connection to RabbitMQ was closed"))
        finally:
            deadline.cancel()
            await self.drop()

    async def drop(self) -> None:
        """End it at once; returns when aiormq's tasks have ended."""
        self.abort()
        await self.close(ConnectionLostError("the connection to RabbitMQ was closed"))
        if self._endings:
            await asyncio.wait(self._endings, timeout=CLOSE_SECONDS)

    def _on_reader_done(self, task: asyncio.Task[Any]) -> None:
        """Have aiormq end the connection, and keep its task for that: it keeps it nowhere."""
        others = asyncio.all_tasks()
        super()._on_reader_done(task)
        self._endings = asyncio.all_tasks() - others

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    # Channels

    async def open_channel(self) -> AmqpChannel:
        """Open a channel.

        Raises:
            AmqpError: the connection is lost, or has no room for it.
        """
        return await self._open(AmqpChannel)

    async def open_channels(self, count: int) -> list[AmqpChannel]:
        """Open several channels in one round trip.

        Raises:
            AmqpError: the connection is lost, or has no room for so many.
        """
        channels = [self._add(AmqpChannel) for _ in range(count)]
        for opening in [channel.start(channel.open()) for channel in channels]:
            await opening
        return channels

    async def open_asking_channel(self) -> AskingChannel:
        """Open a channel on which each message has an outcome to await.

        Raises:
            AmqpError: the connection is lost, or has no room for it.
        """
        return await self._open(AskingChannel)

    async def open_publishing_channel(self) -> PublishingChannel:
        """Open a channel for batches of messages.

        Raises:
            AmqpError: the connection is lost, or has no room for it.
        """
        return await self._open(PublishingChannel)

    async def _open(self, kind: type[C]) -> C:
        channel = self._add(kind)
        await channel.open()
        return channel

    def _add(self, kind: type[C]) -> C:
        if self.lost.done():
            raise self.lost.result()
        limit = min(self.connection_tune.channel_max or CHANNELS, CHANNELS)
        number = next((n for n in range(1, limit + 1) if n not in self.channels), None)
        if number is None:
            raise AmqpError(f"all {limit} channels of the connection are in use")
        channel = self.channels[number] = kind(self, number, self._transport)
        return channel

    # What comes

    def _handle_frame(self, kind: int, number: int, payload: bytes) -> bool:
        """Handle a frame that is not for aiormq; return False for any other."""
        channel = self.channels.get(number)
        if isinstance(channel, AmqpChannel):
            return channel.handle_frame(kind, payload)
        # Of a channel that was closed meanwhile.
        return kind in _CONTENT_KINDS or payload[:4] in _CONTENT_METHODS

    # Back-pressure, and silence

    @property
    def is_connection_was_stuck(self) -> bool:
        """Whether RabbitMQ is silent; aiormq asks before each heartbeat, and sees no messages."""
        return self._transport.silent_seconds > self._login.heartbeat_seconds * _SILENT_HEARTBEATS

    def on_blocked(self, callback: Callable[[str], None]) -> None:
        """Set the callback of why RabbitMQ accepts no messages; '' when it does again."""
        self._on_blocked = callback
        if self._blocked_by:
            callback(self._blocked_by)

    async def writable(self) -> None:
        """Return once RabbitMQ accepts more messages.

        Messages written to a blocked connection would wait in the socket, beyond our control
        (rabbitmq.com/docs/connection-blocked).

        Raises:
            ConnectionLostError: the connection is lost.
        """
        if self._transport.is_full:
            with translated():
                await self._transport.drain()
        await self._unblocked.wait()
        if self._transport.has_ended:
            raise self._why_lost(ConnectionLostError("the connection to RabbitMQ was lost"))

    def _set_blocked(self, reason: str) -> None:
        self._blocked_by = reason
        if reason:
            self._unblocked.clear()
        else:
            self._unblocked.set()
        self._on_blocked(reason)

    # aiormq's handlers of these methods, by their private names: it has no callback for them.

    async def _Connection__handle_connection_blocked(  # noqa: N802
        self, frame: commands.Connection.Blocked
    ) -> None:
        self._set_blocked(frame.reason or "no reason given")

    async def _Connection__handle_connection_unblocked(  # noqa: N802
        self, _: commands.Connection.Unblocked
    ) -> None:
        self._set_blocked("")


def _url(heartbeat_seconds: int) -> URL:
    """Return the URL from which aiormq reads what `Login` and `Transport` do not give it."""
    return URL.build(scheme="amqp", host="rabbitmq", query={"heartbeat": str(heartbeat_seconds)})
