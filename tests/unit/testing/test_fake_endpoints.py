"""Endpoints that an App under test calls."""

import pytest

from ari_proxy import App, Call
from ari_proxy.client.errors import Busy, Misconfigured, NoAnswer, NotSent, Rejected
from ari_proxy.testing import UnmetExpectationError, fake_endpoints
from tests.support.python_examples import example

ANN, BOB = "PJSIP/ann", "PJSIP/bob"


@pytest.fixture
def app() -> App:
    """An App of a bus that no test has."""
    return App("outgoing", "nats://127.0.0.1:1")


async def ask(call: Call) -> str | None:
    return await call.prompt("sound:vm-press", digits=1)


async def test_endpoint_answers_and_presses_digits(app: App) -> None:
    async with fake_endpoints(app) as endpoints:
        endpoints.plan(ANN, answer=2, presses="w1")
        async with app, app.originate(ANN, timeout=10) as call:
            await endpoints.expect_dialled(ANN)
            assert await ask(call) == "1"

    assert endpoints.dialled == [ANN]


async def test_endpoints_are_busy_or_do_not_answer_or_refuse(app: App) -> None:
    async with fake_endpoints(app) as endpoints, app:
        endpoints.plan(ANN, busy=True)
        with pytest.raises(Busy):
            await app.originate(ANN)
        endpoints.plan(ANN, ring=5)
        with pytest.raises(NoAnswer):
            await app.originate(ANN)
        endpoints.plan(ANN)
        with pytest.raises(NoAnswer):
            await app.originate(ANN, timeout=1)
        endpoints.plan(BOB, cause=34)
        with pytest.raises(Rejected) as refusal:
            await app.originate(BOB)

    assert refusal.value.cause == 34


async def test_request_fails_as_planned(app: App) -> None:
    async with fake_endpoints(app) as endpoints, app:
        endpoints.fail("channels.originate", "not_sent")
        with pytest.raises(NotSent):
            await app.originate(ANN)
        await app.originate(ANN)


async def test_what_is_left_is_told(app: App) -> None:
    with pytest.raises(UnmetExpectationError, match="bridge hall"):
        async with fake_endpoints(app, deadline_seconds=1), app, app.originate(ANN) as call:
            await call.ari.bridges.create(name="hall")


async def test_app_is_where_it_was_behind_the_block(app: App) -> None:
    async with fake_endpoints(app):
        assert app.name == "tested"
    assert app.name == "outgoing"


async def test_app_that_runs_already_is_refused(app: App) -> None:
    with app.at("memory://"):
        async with app:
            with pytest.raises(Misconfigured, match="runs"), app.at("memory://other"):
                pass


async def test_campaign_of_the_examples() -> None:
    campaign = example("campaign")
    async with fake_endpoints(campaign.app) as endpoints, campaign.app:
        endpoints.plan("PJSIP/1@trunk", answer=1, presses="wwwwww1")
        endpoints.plan("PJSIP/2@trunk", answer=1)
        endpoints.plan("PJSIP/3@trunk", busy=True)
        endpoints.plan("PJSIP/4@trunk", ring=60)
        results = await campaign.campaign(["1", "2", "3", "4"])

    assert results == {"1": "confirmed", "2": "heard", "3": "busy", "4": "no answer"}
    assert endpoints.dialled.count("PJSIP/3@trunk") == campaign.TRIES
