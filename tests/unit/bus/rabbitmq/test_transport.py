import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from aiormq.connection import FrameReceiver
from aiormq.exceptions import AMQPConnectionError, ProtocolSyntaxError
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, heartbeat
from pamqp.frame import FrameTypes
from yarl import URL

from ari_proxy.bus.rabbitmq import frames
from ari_proxy.bus.rabbitmq.transport import FrameReader, Transport

SENT: list[FrameTypes] = [
    commands.Channel.OpenOk(),
    heartbeat.Heartbeat(),
    body.ContentBody(b"x" * 300),
    commands.Basic.Deliver("c", 1, False, "", "events_x"),
    commands.Connection.Close(320, "CONNECTION_FORCED - going down", 0, 0),
]


@given(cuts=st.lists(st.integers(1, 600), max_size=12))
def test_aiormq_gets_the_same_frames_wherever_they_were_cut(cuts: list[int]) -> None:
    stream = b"".join(frame.marshal(one, 1) for one in SENT)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]

    async def read() -> tuple[list[str], str]:
        reader = FrameReader(lambda *_: False)
        receiver = FrameReceiver(reader)
        names: list[str] = []

        async def receive() -> None:
            names.extend([(await receiver.get_frame())[2].name for _ in SENT])

        receiving = asyncio.create_task(receive())
        for start, end in pairwise(edges):
            reader.feed_data(stream[start:end])
            await asyncio.sleep(0)
        await receiving
        return names, reader.close_reason

    names, close_reason = asyncio.run(read())

    assert names == [one.name for one in SENT]
    assert close_reason == "320 CONNECTION_FORCED - going down"


async def test_end_of_the_stream_is_a_lost_connection() -> None:
    reader = FrameReader(lambda *_: False)
    reader.feed_data(frame.marshal(SENT[0], 1)[:5])
    reader.feed_eof()

    with pytest.raises(AMQPConnectionError):
        await FrameReceiver(reader).get_frame()


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n", frame.marshal(SENT[0], 1)[:-1] + b"x"]
)
async def test_what_is_no_amqp_ends_the_connection(data: bytes) -> None:
    reader = FrameReader(lambda *_: False)
    reader.feed_data(data)

    with pytest.raises(ProtocolSyntaxError, match="not AMQP"):
        await FrameReceiver(reader).get_frame()


async def test_nothing_is_handled_behind_what_is_no_amqp() -> None:
    handled: list[tuple[int | bytes, ...]] = []
    good = frame.marshal(SENT[3], 1)

    def handle(*one: int | bytes) -> bool:
        handled.append(one)
        return True

    reader = FrameReader(handle)
    reader.feed_data(good + good[:-1] + b"x")
    reader.feed_data(good)

    assert handled == [(frames.METHOD, 1, good[7:-1])]


@pytest.mark.parametrize(
    "end",
    [
        lambda reader: reader.feed_eof(),
        lambda reader: reader.set_exception(ConnectionResetError()),
        lambda reader: reader.feed_data(frame.marshal(SENT[4], 0)),
    ],
    ids=["eof", "error", "close"],
)
async def test_end_shows_at_once(end: Callable[[FrameReader], None]) -> None:
    """Until aiormq tells it, a message that must not be sent twice would be sent to nobody."""
    reader = FrameReader(lambda *_: False)
    before = reader.has_ended
    end(reader)

    assert (before, reader.has_ended) == (False, True)


async def test_handler_that_fails_is_a_lost_connection_to_who_writes() -> None:
    """And no error of a kind that nobody expects: it would end the process."""

    def handle(*_: int | bytes) -> bool:
        raise RuntimeError("a fault of ours")

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame.marshal(SENT[3], 1))
        await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        transport = Transport(handle, "127.0.0.1", server.sockets[0].getsockname()[1], None)
        reader, _ = await transport.create(URL())
        with pytest.raises(RuntimeError):
            await reader.readexactly(1)
        with pytest.raises(ConnectionError):
            await transport.drain()

    assert [str(fault) for fault in faults] == ["a fault of ours"]
