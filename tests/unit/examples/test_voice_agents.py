"""The voice agents of examples/python, without audio."""

import pytest

from ari_proxy.client.errors import NotConnected
from ari_proxy.testing import fake_call
from tests.support.python_examples import example

AGENTS = {
    "voice_agent_websocket": "WebSocket/agents",
    "voice_agent_audiosocket": "AudioSocket/127.0.0.1:9092",
}


@pytest.mark.parametrize("name", AGENTS)
async def test_caller_who_hangs_up(name: str) -> None:
    module = example(name)
    async with fake_call(module.talk) as phone:
        await phone.expect_answered()
        await phone.expect_dialled(AGENTS[name])
        assert next(iter(module.calls.values())).channel_id == phone.channel_id
        phone.hang_up()

    assert module.calls == {}


@pytest.mark.parametrize("name", AGENTS)
async def test_nobody_is_there(name: str) -> None:
    module = example(name)
    with pytest.raises(NotConnected):
        async with fake_call(module.talk) as phone:
            phone.plan(AGENTS[name], cause=3)

    assert module.calls == {}
