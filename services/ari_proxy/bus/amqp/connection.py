"""One connection to RabbitMQ: handshake, channels, heartbeats, and its end.

Why not aio-pika: a publish costs 89 µs with it, and 82 µs with aiormq, on which it is built (a
task, a lock, a UUID and two futures each, and each confirm walks all that is unconfirmed), a
delivery 38 µs in a task of its own; here 3 and 6 to 9 µs (bench/amqp.py, in one run). There, one
operation of a channel is in flight at a time, and one that is cancelled closes its channel. What is
left of the stack is pamqp, the codec below both.

Nothing here reconnects or retries: whoever uses it starts anew.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from pamqp import base, commands
from pamqp import frame as codec
from pamqp.common import FieldTable
from pamqp.exceptions import PAMQPException
from pamqp.header import ProtocolHeader

from ari_proxy.__about__ import __version__

from . import frames
from .channel import Channel
from .errors import AmqpError, ConnectionLostError, MalformedFrameError
from .frames import FrameSplitter

#: Looks, two in a heartbeat's time, without any sign of life after which RabbitMQ is dead.
SILENT_LOOKS: Final = 4
CLOSE_SECONDS: Final = 1.0
#: What is asked for at most; RabbitMQ's own default.
FRAME_BYTES: Final = 128 * 1024
CHANNELS: Final = 128

Answer = TypeVar("Answer", bound=base.Frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """As whom to connect, and to what."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    virtual_host: str = "/"
    #: Shown in RabbitMQ's list of connections.
    name: str = ""
    tls: ssl.SSLContext | None = None
    #: The name that stands in the server's certificate; '' for the host.
    server_name: str = ""
    #: Seconds that both sides agree on: RabbitMQ takes a client for dead that was silent for two to
    #: three times as long, and then gives its work to another.
    heartbeat_seconds: int = 10


class AmqpConnection(asyncio.Protocol):
    """One connection; `connect` makes it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._splitter = FrameSplitter(FRAME_BYTES + 8)
        self._acknowledging: list[Channel] = []
        self._control = Channel(0, self._write, FRAME_BYTES, self._acknowledging)
        self._channels: dict[int, Channel] = {}
        self._max_frame = FRAME_BYTES
        self._max_channels = CHANNELS
        self._heard = True
        self._is_receiving = False
        self._answers: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_paused = False
        self._heartbeat_seconds = 0
        #: Why RabbitMQ takes no messages now, or ''.
        self.blocked_by = ""
        #: Called when that changes.
        self.on_blocked: Callable[[str], None] = lambda _: None
        #: Why it ended; set once.
        self.lost: asyncio.Future[ConnectionLostError] = asyncio.get_running_loop().create_future()

    # How it begins and ends

    @classmethod
    async def connect(cls, login: Login) -> "AmqpConnection":
        """Connect and log in; the caller sets the deadline.

        Raises:
            OSError, ssl.SSLError: there is no connection.
            AmqpError: RabbitMQ refuses it.
        """
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            cls,
            login.host,
            login.port,
            ssl=login.tls,
            server_hostname=login.server_name or None if login.tls else None,
        )
        try:
            await connection.log_in(login)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def log_in(self, login: Login) -> None:
        """Go through the handshake (AMQP 0-9-1 §1.4.2)."""
        start = self._control.expect()
        self._write(ProtocolHeader().marshal())
        _checked(await start, commands.Connection.Start)
        tune = self._control.expect()
        self._control.send(
            commands.Connection.StartOk(
                client_properties=_client_properties(login.name),
                mechanism="PLAIN",  # RFC 4616
                response=f"\0{login.user}\0{login.password}",
                locale="en_US",
            )
        )
        tuned = _checked(await tune, commands.Connection.Tune)
        self._max_frame = min(tuned.frame_max or FRAME_BYTES, FRAME_BYTES)
        self._max_channels = min(tuned.channel_max or CHANNELS, CHANNELS)
        self._control.send(
            commands.Connection.TuneOk(
                channel_max=self._max_channels,
                frame_max=self._max_frame,
                heartbeat=login.heartbeat_seconds,
            )
        )
        self._heartbeat_seconds = login.heartbeat_seconds
        method = commands.Connection.Open(virtual_host=login.virtual_host)
        await self._control.call(method, commands.Connection.OpenOk)

    async def channel(self) -> Channel:
        """Open a channel; see `open_channels`."""
        (channel,) = await self.open_channels(1)
        return channel

    async def open_channels(self, count: int) -> list[Channel]:
        """Open several channels at once.

        Raises:
            AmqpError: the connection is lost, or has no room for so many.
        """
        if self.lost.done():
            raise self.lost.result()
        channels = self._add_channels(count)
        try:
            for opening in [channel.request(commands.Channel.Open()) for channel in channels]:
                await opening
        except BaseException:
            for channel in channels:
                self.abandon(channel)
            raise
        return channels

    def _add_channels(self, count: int) -> list[Channel]:
        free = (n for n in range(1, self._max_channels + 1) if n not in self._channels)
        numbers = list(itertools.islice(free, count))
        if len(numbers) < count:
            raise AmqpError(f"all {self._max_channels} channels of the connection are in use")
        for number in numbers:
            channel = Channel(number, self._write, self._max_frame, self._acknowledging)
            self._channels[number] = channel
        return [self._channels[number] for number in numbers]

    async def release(self, channel: Channel) -> None:
        """Close a channel, whose unacknowledged messages go to others, and free its number."""
        closing = self.abandon(channel)
        if closing is not None:
            with contextlib.suppress(AmqpError):
                await asyncio.shield(closing)  # Its number is not free before.

    def abandon(self, channel: Channel) -> "asyncio.Future[base.Frame] | None":
        """Begin to release a channel; return RabbitMQ's answer to come, if there will be one."""
        if channel.closed is not None:
            self.forget(channel)
            return None
        closing = channel.close()
        # The next one of that number would get what is still on its way.
        closing.add_done_callback(lambda _: self.forget(channel))
        return closing

    def forget(self, channel: Channel) -> None:
        """Free the number of a channel that is closed, unless another one has it already."""
        channel.consumers.clear()
        if self._channels.get(channel.number) is channel:
            del self._channels[channel.number]

    async def close(self) -> None:
        """End it in order, or after a moment at once."""
        method = commands.Connection.Close(reply_code=200, reply_text="", class_id=0, method_id=0)
        try:
            with contextlib.suppress(AmqpError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._control.call(method, commands.Connection.CloseOk)
        finally:
            self.abort()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
        self._lose(ConnectionLostError("the connection to RabbitMQ was closed"))

    def _lose(self, error: ConnectionLostError) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
        for channel in (self._control, *self._channels.values()):
            channel.lose(error)
        self._writable.set()

    async def beat(self) -> None:
        """Give signs of life; return once there are none from the other side."""
        silent = 0
        while silent < SILENT_LOOKS:
            await asyncio.sleep(self._heartbeat_seconds / 2)
            self._write(frames.HEARTBEAT)
            silent = 0 if self._heard else silent + 1
            self._heard = False

    # What goes out

    def _write(self, data: bytes) -> None:
        if self._is_receiving:
            self._answers.append(data)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)  # uvloop's raises when it is closed.

    async def writable(self) -> None:
        """Return once RabbitMQ takes more messages, or the connection is lost."""
        await self._writable.wait()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # Not checked: uvloop's transports are no subclasses.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that is awaited."""
        reason = f": {exc}" if exc else ""
        self._lose(ConnectionLostError(f"the connection to RabbitMQ was lost{reason}"))

    def pause_writing(self) -> None:
        """Hold the publishers."""
        self._is_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let the publishers go on."""
        self._is_paused = False
        self._release_publishers()

    def _release_publishers(self) -> None:
        if not self._is_paused and not self.blocked_by:
            self._writable.set()

    def _set_blocked(self, reason: str) -> None:
        """Take that RabbitMQ reads no more, or reads again (rabbitmq.com/docs/connection-blocked).

        What is written meanwhile would wait in the socket, where nobody can take it back.
        """
        self.blocked_by = reason
        if reason:
            self._writable.clear()
        else:
            self._release_publishers()
        self.on_blocked(reason)

    def data_received(self, data: bytes) -> None:
        """Hand each frame to its channel, and send all that they answer in one go."""
        self._heard = True
        self._is_receiving = True
        try:
            for kind, number, payload in self._splitter.feed(data):
                if number:
                    channel = self._channels.get(number)
                    if channel is not None:
                        channel.take(kind, payload)
                elif kind == frames.METHOD:
                    self._take_control(payload)
            while self._acknowledging:
                self._acknowledging.pop().acknowledge_all()
            self._send_answers()
        except (MalformedFrameError, PAMQPException, KeyError, IndexError) as error:
            self._lose(ConnectionLostError(f"RabbitMQ sent what is not AMQP: {error!r}"))
            self.abort()

    def _send_answers(self) -> None:
        self._is_receiving = False
        if self._answers:
            self._write(b"".join(self._answers))
            self._answers.clear()

    def _take_control(self, payload: bytes) -> None:
        kind = int.from_bytes(payload[:4], "big")
        if kind == commands.Connection.Blocked.index:
            self._set_blocked(payload[5:].decode(errors="replace") or "no reason given")
        elif kind == commands.Connection.Unblocked.index:
            self._set_blocked("")
        elif kind == commands.Connection.Close.index:
            method = commands.Connection.Close()
            method.unmarshal(payload[4:])
            self._write(codec.marshal(commands.Connection.CloseOk(), 0))
            text = f"RabbitMQ closed the connection: {method.reply_code} {method.reply_text}"
            self._lose(ConnectionLostError(text))
        else:
            self._control.take(frames.METHOD, payload)


def _checked(found: base.Frame, kind: type[Answer]) -> Answer:
    if not isinstance(found, kind):
        raise ConnectionLostError(f"RabbitMQ sends {found.name} instead of {kind.name}")
    return found


def _client_properties(name: str) -> FieldTable:
    return {
        "product": "ari-proxy",
        "version": __version__,
        "connection_name": name,
        "capabilities": {
            "authentication_failure_close": True,
            "basic.nack": True,
            "connection.blocked": True,
            "consumer_cancel_notify": True,
            "publisher_confirms": True,
        },
    }
