"""Callers and planned endpoints of the simulated Asterisk."""

import asyncio
import math
import re
from typing import Any

import pytest

from ari_proxy.ari import causes
from ari_proxy.simulator.causes import asked
from ari_proxy.simulator.exchange import Exchange
from ari_proxy.simulator.model import SimulatedRefusalError
from ari_proxy.simulator.plans import EndpointPlan
from ari_proxy.simulator.redirecting import redirect


class Events:
    """Events of an exchange in order."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._came = asyncio.Condition()

    async def take(self, app: str, event_type: str, **fields: Any) -> None:
        async with self._came:
            self.all.append({"type": event_type, "application": app, **fields})
            self._came.notify_all()

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.all]

    async def until(self, event_type: str) -> dict[str, Any]:
        async with asyncio.timeout(60), self._came:
            await self._came.wait_for(lambda: event_type in self.types)
        return next(event for event in self.all if event["type"] == event_type)


async def test_caller_rings_until_it_is_answered() -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        caller = await exchange.call_in("demo", caller="100", extension="7")
        shown = caller.as_json()
        await exchange.answer(caller.id)
        await exchange.answer(caller.id)

    assert (shown["state"], shown["caller"]["number"]) == ("Ring", "100")
    assert (shown["dialplan"]["exten"], shown["name"][:10]) == ("7", "PJSIP/100-")
    assert events.types == ["StasisStart", "ChannelStateChange"]
    assert events.all[-1]["channel"]["state"] == "Up"


async def test_caller_presses_digits_and_hangs_up() -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        caller = await exchange.call_in("demo", caller="100", extension="7")
        exchange.press(caller.id, "1#")
    await exchange.hang_up_at_peer(caller.id, causes.BUSY)

    digits = [event["digit"] for event in events.all if "digit" in event]
    assert digits == ["1", "#"]
    assert events.types[-3:] == ["ChannelHangupRequest", "StasisEnd", "ChannelDestroyed"]
    assert "soft" not in events.all[-3]
    assert (events.all[-1]["cause"], events.all[-1]["cause_txt"]) == (17, "User busy")
    assert exchange.channels == {}


@pytest.mark.parametrize("is_up", [False, True])
async def test_phone_that_is_redirected_leaves(is_up: bool) -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        caller = await exchange.call_in("demo", caller="100", extension="7")
        if is_up:
            await exchange.answer(caller.id)
        await redirect(exchange, caller.id, "PJSIP/200")

    asked = next(event for event in events.all if event["type"] == "ChannelHangupRequest")
    assert (asked["cause"], asked.get("tech_cause")) == ((16, None) if is_up else (23, 302))
    assert events.types[-2:] == ["StasisEnd", "ChannelDestroyed"]


async def test_local_channel_has_no_phone() -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        name = exchange.originate("", {"endpoint": "Local/answer@default", "app": "demo"}).id
        await events.until("StasisStart")
        await redirect(exchange, name, "Local/busy@default")

    assert exchange.channel(name).in_stasis


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("nonsense", "Endpoint parameter 'nonsense' does not contain tech/resource"),
        ("PJSIP/", "No resource provided in endpoint parameter 'PJSIP/'"),
        ("Local/1", "Endpoint technology 'Local' does not match channel technology 'PJSIP'"),
    ],
)
async def test_redirect_to_where_asterisk_can_not(endpoint: str, text: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, Events().take)
        caller = await exchange.call_in("demo", caller="100", extension="7")
        with pytest.raises(SimulatedRefusalError, match=re.escape(text)):
            await redirect(exchange, caller.id, endpoint)


@pytest.mark.parametrize(
    ("plan", "cause"),
    [
        (EndpointPlan(refusal=34), 34),
        (EndpointPlan(ring_seconds=math.inf), causes.NO_ANSWER),
        (EndpointPlan(ring_seconds=20, answers=False), causes.NO_ANSWER),
    ],
    ids=["refuses", "rings", "gives up"],
)
async def test_endpoint_that_does_not_answer(plan: EndpointPlan, cause: int) -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        exchange.plans["PJSIP/200"] = plan
        exchange.originate("", {"endpoint": "PJSIP/200", "app": "demo", "timeout": "30"})
        destroyed = await events.until("ChannelDestroyed")

    assert destroyed["cause"] == cause
    assert exchange.channels == {}


async def test_endpoint_rings_and_answers() -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        exchange.plans["PJSIP/200"] = EndpointPlan(ring_seconds=20, digits="5")
        exchange.originate("", {"endpoint": "PJSIP/200", "app": "demo"})
        await events.until("ChannelDtmfReceived")

    statuses = [event["dialstatus"] for event in events.all if event["type"] == "Dial"]
    assert statuses == ["", "RINGING", "ANSWER"]


@pytest.mark.parametrize(
    ("reason", "code", "cause"),
    [("", "", 16), ("busy", "", 17), ("", "34", 34), ("busy", "34", 34)],
)
def test_hang_up_has_the_cause_that_was_asked_for(reason: str, code: str, cause: int) -> None:
    assert asked(reason, code) == cause


def test_unusual_cause_has_a_text() -> None:
    assert causes.text_of(99) == "Unknown"
