"""Transfers that a phone asks for."""

import asyncio
import json
from typing import Any

import pytest

from ari_proxy.client import events
from ari_proxy.client.errors import Busy, CallEnded, NoAnswer, NotAccepted, Rejected
from ari_proxy.client.events import Event
from ari_proxy.client.legs.leg import Leg
from ari_proxy.client.legs.phone_transfers import PhoneTransfer, PhoneTransfers
from ari_proxy.client.legs.transfer_queue import MAX_WAITING, TransferQueue
from tests.support.application import until
from tests.support.client_events import channel, event
from tests.support.scripted_call import ScriptedCall

HANDLING = "POST /channels/c/variable"
PROGRESS = "POST /channels/c/transfer_progress"


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def leg_of(scripted: ScriptedCall) -> Leg:
    return Leg(scripted.call, "c", "PJSIP/a")


def at(second: int, sent: Event) -> Event:
    """Return an event of another second."""
    return events.decode(json.dumps(sent.body | {"timestamp": f"2026-11-23T09:34:{second:02}Z"}))


def asked(by: str = "c", **fields: Any) -> Event:
    wanted = fields.pop("wanted", {"destination": "9999"})
    return event(
        "ChannelTransfer",
        refer_to={"requested_destination": wanted, **fields.pop("refer_to", {})},
        referred_by={"source_channel": channel(by), "connected_channel": channel("x")},
        **fields,
    )


def replacing(name: str, former: str) -> Event:
    return event("StasisStart", args=[], channel=channel(name), replace_channel=channel(former))


def test_queue_has_each_transfer_of_its_phone_once() -> None:
    queue = TransferQueue("c")
    for sent in (asked(), asked(), asked("y"), asked(state="channel_answered"), at(59, asked())):
        queue.take(sent)
    queue.take(event("ProxyGap", reason="websocket_lost"))

    first, second = queue.next(), queue.next()
    assert first is not None
    assert second is not None
    assert (first.timestamp < second.timestamp, queue.next()) == (True, None)


def test_queue_follows_the_channel_that_takes_the_place_of_the_phones() -> None:
    queue = TransferQueue("c")
    for sent in (replacing("y", "x"), replacing("new", "c"), at(1, asked()), at(2, asked("new"))):
        queue.take(sent)

    found = iter(queue.next, None)
    assert [one.timestamp.second for one in found] == [2]


def test_queue_is_bounded() -> None:
    queue = TransferQueue("c")
    for second in range(MAX_WAITING + 1):
        queue.take(at(second, asked()))

    found = iter(queue.next, None)
    assert [one.timestamp.second for one in found] == [*range(1, MAX_WAITING + 1)]


async def test_blind_transfer_is_done_and_reported(scripted: ScriptedCall) -> None:
    async with leg_of(scripted).phone_transfers() as transfers:
        scripted.send(asked())
        scripted.send(asked())
        transfer = await anext(transfers)
        async with transfer:
            await transfer.report("progress")

    assert (transfer.target, transfer.connected_id) == ("9999", "x")
    assert (transfer.protocol_id, transfer.replaced_id) == ("", "")
    assert [(one.name, *one.parameters.values()) for one in scripted.requests] == [
        (HANDLING, "PJSIP_TRANSFER_HANDLING()", "ari-only"),
        (PROGRESS, "channel_progress"),
        (PROGRESS, "channel_answered"),
        (HANDLING, "PJSIP_TRANSFER_HANDLING()", "core"),
    ]


async def test_phone_that_takes_the_place_of_another_may_ask(scripted: ScriptedCall) -> None:
    async with leg_of(scripted).phone_transfers() as transfers, asyncio.TaskGroup() as tasks:
        found = tasks.create_task(next_of(transfers))
        scripted.send(replacing("new", "c"))
        await until(lambda: len(scripted.requests) == 2)
        scripted.send(asked("new"))

    transfer = found.result()
    assert transfer is not None
    assert transfer.target == "9999"
    assert [(one.name, *one.parameters.values()) for one in scripted.requests] == [
        (HANDLING, "PJSIP_TRANSFER_HANDLING()", "ari-only"),
        ("POST /channels/new/variable", "PJSIP_TRANSFER_HANDLING()", "ari-only"),
        ("POST /channels/new/variable", "PJSIP_TRANSFER_HANDLING()", "core"),
    ]


async def test_channel_without_a_phone_that_takes_the_place_asks_nothing(
    scripted: ScriptedCall,
) -> None:
    scripted.answer("POST /channels/new/variable", 400, {"message": "Failed to execute function"})
    async with leg_of(scripted).phone_transfers() as transfers, asyncio.TaskGroup() as tasks:
        found = tasks.create_task(next_of(transfers))
        scripted.send(replacing("new", "c"))
        await until(lambda: len(scripted.requests) == 2)
        scripted.send(event("StasisEnd", channel=channel("new")))

    assert found.result() is None


async def next_of(transfers: PhoneTransfers) -> PhoneTransfer | None:
    return await anext(transfers, None)


async def test_attended_transfer_names_the_other_call(scripted: ScriptedCall) -> None:
    async with leg_of(scripted).phone_transfers() as transfers:
        scripted.send(
            # Asterisk 22 tells the number as well.
            asked(
                wanted={"protocol_id": "1-2@h", "destination": "9"},
                refer_to={"destination_channel": channel("d")},
            )
        )
        transfer = await anext(transfers)

    assert (transfer.target, transfer.protocol_id, transfer.replaced_id) == ("", "1-2@h", "d")
    assert repr(transfer) == "PhoneTransfer(target='', replaced_id='d')"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Busy(["PJSIP/9999"]), "channel_declined"),
        (Rejected(["PJSIP/9999"]), "channel_declined"),
        (NotAccepted("PJSIP/9999", "silent"), "channel_declined"),
        (NoAnswer(["PJSIP/9999"]), "channel_unavailable"),
        (RuntimeError(), "channel_unavailable"),
        (asyncio.CancelledError(), "channel_unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
async def test_phone_is_told_why_not(
    scripted: ScriptedCall, error: BaseException, told: str
) -> None:
    transfer = await one_asked(scripted)
    with pytest.raises(type(error)):
        async with transfer:
            raise error

    assert scripted.requests[-1].parameters == {"states": told}


async def one_asked(scripted: ScriptedCall) -> PhoneTransfer:
    async with leg_of(scripted).phone_transfers() as transfers:
        scripted.send(asked())
        return await anext(transfers)


async def test_outcome_is_told_once(scripted: ScriptedCall) -> None:
    transfer = await one_asked(scripted)
    async with transfer:
        await transfer.report("declined")
        await transfer.report("answered")

    assert scripted.names.count(PROGRESS) == 1


async def test_phone_that_has_hung_up_is_told_nothing(scripted: ScriptedCall) -> None:
    transfer = await one_asked(scripted)
    scripted.hang_up()
    async with transfer:
        pass
    with pytest.raises(CallEnded):
        await (await other_of(scripted)).report("progress")

    assert PROGRESS not in scripted.names


async def other_of(scripted: ScriptedCall) -> PhoneTransfer:
    sent = asked()
    assert isinstance(sent, events.ChannelTransfer)
    return PhoneTransfer(scripted.call, sent)


async def test_transfers_end_with_the_channel(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with asyncio.TaskGroup() as tasks, leg.phone_transfers() as transfers:

        async def collect() -> list[str]:
            return [transfer.target async for transfer in transfers]

        collecting = tasks.create_task(collect())
        await asyncio.sleep(0)
        scripted.send(asked("x"))
        scripted.send(event("StasisEnd", channel=channel("x")))

    assert collecting.result() == ["9999"]
    assert scripted.names == ["POST /channels/x/variable"]


async def test_transfers_of_a_channel_that_is_gone(scripted: ScriptedCall) -> None:
    leg = leg_of(scripted)
    scripted.hang_up()
    with pytest.raises(CallEnded):
        async with leg.phone_transfers():
            pass
    assert not scripted.call._listeners._listeners
