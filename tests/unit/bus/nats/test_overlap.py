"""A subscription on two connections hands each message on once."""

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.nats.overlap import Overlap


def message(payload: bytes, reply: str = "") -> Msg:
    return Msg(Client(), "topic", reply, payload)


async def test_what_came_on_the_former_connection_is_not_new_once_that_is_certain() -> None:
    overlap = Overlap(10)
    overlap.note(message(b"both"))
    both = asyncio.create_task(overlap.is_new(message(b"both")))
    new = asyncio.create_task(overlap.is_new(message(b"new")))
    await asyncio.sleep(0)
    assert not both.done()
    assert not new.done()

    overlap.end()

    assert (await both, await new) == (False, True)


async def test_of_a_new_connection_that_is_given_up_nothing_is_new() -> None:
    overlap = Overlap(10)
    waiting = asyncio.create_task(overlap.is_new(message(b"1")))
    await asyncio.sleep(0)

    overlap.give_up()

    assert not await waiting
    assert not await overlap.is_new(message(b"2"))


async def test_same_payload_is_another_message_as_often_as_it_comes() -> None:
    overlap = Overlap(10)
    overlap.note(message(b"same"))
    overlap.end()

    assert not await overlap.is_new(message(b"same"))
    assert await overlap.is_new(message(b"same"))
    assert await overlap.is_new(message(b"same", "inbox.1"))


async def test_it_remembers_no_more_than_its_limit() -> None:
    overlap = Overlap(1)
    overlap.note(message(b"1"))
    overlap.note(message(b"2"))
    overlap.end()
    overlap.note(message(b"3"))

    assert not await overlap.is_new(message(b"1"))
    assert await overlap.is_new(message(b"2"))
    assert await overlap.is_new(message(b"3"))
