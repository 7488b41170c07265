"""Websockets that are open and deliver nothing; the simulated faults of a scripted Asterisk."""

import asyncio

import pytest

from ari_proxy.connections import factories
from ari_proxy.ingest.events.canary import EventCanary
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.settings.load import load
from tests.support.permit import SwitchedPermit
from tests.support.running import until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import PASSWORD, BusServer
from tests.support.setting import proxy_with

REGISTERED = '{"name":"demo","events_allowed":[],"events_disallowed":[]}'
FILTERED = '{"name":"demo","events_allowed":[{"type":"StasisStart"}],"events_disallowed":[]}'


def says(asterisk: ScriptedAsterisk, status: int, body: str) -> None:
    asterisk.standing["GET", "/applications/demo"] = status, body


async def test_silent_websocket_is_replaced_and_its_gap_is_told(bus_server: BusServer) -> None:
    async with proxy_with(bus_server, proof_seconds=0.1) as setting:
        says(setting.asterisk, 200, REGISTERED)
        setting.asterisk.add_channel("c")
        dialog = await setting.begin()
        setting.asterisk.silent.add("demo")
        await until(lambda: len(setting.asterisk.upgrades) > 2)
        setting.asterisk.silent.clear()
        await until(lambda: "ProxyGap" in setting.client.types(dialog))
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        await until(lambda: "StasisEnd" in setting.client.types(dialog))
    assert "ChannelUserevent" not in setting.client.types(dialog)


async def test_websocket_silenced_just_after_its_first_proof_is_not_left_so(
    bus_server: BusServer,
) -> None:
    """The end of an old connection may reach Asterisk that late."""
    async with proxy_with(bus_server, proof_seconds=3600) as setting:
        says(setting.asterisk, 200, REGISTERED)
        await until(lambda: setting.asterisk.proofs >= 1)
        setting.asterisk.silent.add("demo")
        await until(lambda: len(setting.asterisk.upgrades) > 1)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, FILTERED), (403, "{}"), (404, '{"message":"Resource not found"}'), (204, "")],
    ids=["filtered", "forbidden", "unknown", "empty"],
)
async def test_websocket_that_cannot_be_proven_stays(
    bus_server: BusServer, status: int, body: str
) -> None:
    async with proxy_with(bus_server, proof_seconds=0.1) as setting:
        says(setting.asterisk, status, body)
        setting.asterisk.silent.add("demo")
        await until(lambda: _asked(setting.asterisk) > 3)
        assert len(setting.asterisk.upgrades) == 1


def _asked(asterisk: ScriptedAsterisk) -> int:
    return len([request for request in asterisk.requests if "/applications/" in request.target])


async def test_user_that_may_not_ask_for_proofs_is_told_once(
    bus_server: BusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy_with(bus_server, proof_seconds=0.1) as setting:
        setting.asterisk.proof_status = 403
        await until(lambda: setting.asterisk.proofs > 3)
        assert len(setting.asterisk.upgrades) == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("proof.refused") == 1


async def test_ingest_whose_turn_is_over_takes_nothing_back() -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.silent.add("demo")
        asterisk.standing["GET", "/applications/demo"] = 200, REGISTERED
        settings = load(ari={"rest_url": asterisk.url, "user": "ari", "password": PASSWORD})
        permit = SwitchedPermit()
        permit.is_given = False
        async with factories.rest_client(settings) as rest:
            asked = EventCanary(
                rest,
                ["demo"],
                every_seconds=0.05,
                counters=EventCounters(),
                permit=permit,
                silent_seconds=0.1,
            )
            waiting = asyncio.create_task(asked.until_silent(()))
            await until(lambda: asterisk.proofs > 2)
            assert not waiting.done()
            permit.is_given = True
            async with asyncio.timeout(20):
                assert await waiting == "demo"


async def test_proofs_can_be_switched_off(bus_server: BusServer) -> None:
    async with proxy_with(bus_server, proof_seconds=0) as setting:
        says(setting.asterisk, 200, REGISTERED)
        setting.asterisk.silent.add("demo")
        dialog = await setting.begin()
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        await until(lambda: "StasisEnd" in setting.client.types(dialog))
        assert not setting.asterisk.proofs


async def test_application_that_another_client_has_taken_owes_no_proof(
    bus_server: BusServer,
) -> None:
    async with proxy_with(bus_server, proof_seconds=0.1) as setting:
        says(setting.asterisk, 200, REGISTERED)
        await until(lambda: setting.asterisk.proofs > 1)
        await setting.asterisk.push('{"type":"ApplicationReplaced","application":"demo"}')
        setting.asterisk.silent.add("demo")
        before = await _settled(setting.asterisk)
        await asyncio.sleep(0.5)
        assert setting.asterisk.proofs == before
        assert len(setting.asterisk.upgrades) == 1


async def _settled(asterisk: ScriptedAsterisk) -> int:
    """Return how many proofs have been asked for, once the last one's time is over."""
    await asyncio.sleep(0.5)
    return asterisk.proofs
