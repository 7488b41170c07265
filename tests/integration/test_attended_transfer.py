"""The attended transfer of the examples serves calls: simulated, and of Asterisk 22."""

from ari_proxy import Call
from ari_proxy.client.events import ChannelEnteredBridge, Event
from tests.support.calls import RestServer
from tests.support.embedded_app import embedded_app
from tests.support.python_examples import example
from tests.support.running import until


async def test_caller_comes_to_the_colleague_who_accepts(server: RestServer) -> None:
    transfer = example("attended_transfer")
    # Busy; answers, and accepts.
    transfer.COLLEAGUES = ["Local/busy@default/n", "Local/dtmf-w1@default/n"]
    inside: set[str] = set()

    async def serve(call: Call) -> None:
        def follow(event: Event) -> None:
            if isinstance(event, ChannelEnteredBridge):
                inside.add(event.channel_id)

        with call.following(follow):
            await transfer.put_through(call)

    async with embedded_app(server, serve) as callers:
        caller = await callers.place()
        await until(lambda: caller in inside and len(inside) > 1)
        (colleague,) = inside - {caller}
        await callers.hang_up(colleague)
        for channel in (colleague, caller):
            await callers.until_gone(channel)
