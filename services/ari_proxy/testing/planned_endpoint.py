"""The part of one endpoint that is called at a real Asterisk, as a test has planned it."""

import asyncio
from contextlib import suppress
from typing import Final

from ari_proxy.ari import causes
from ari_proxy.client.call import Call
from ari_proxy.client.errors import RequestFailed
from ari_proxy.simulator.plans import EndpointPlan

#: Milliseconds of a digit, and between two.
_DIGIT: Final = 100


async def play(call: Call, plan: EndpointPlan) -> None:
    """Do what is planned at the far half of a Local channel; cancelled when it has ended."""
    with suppress(RequestFailed):  # It has ended.
        await _play(call, plan)


async def _play(call: Call, plan: EndpointPlan) -> None:
    if plan.refusal is not None:
        await _refuse(call, plan.refusal)
        return
    if plan.ring_seconds:
        await call.ari.channels.ring(call.channel_id)
        await asyncio.sleep(plan.ring_seconds)
    if not plan.answers:
        await _refuse(call, causes.NO_ANSWER)
        return
    await call.answer()
    if plan.digits:
        await call.ari.channels.send_dtmf(
            call.channel_id, dtmf=plan.digits, before=_DIGIT, between=_DIGIT, duration=_DIGIT
        )
    await asyncio.Event().wait()


async def _refuse(call: Call, cause: int) -> None:
    await call.ari.channels.hangup(call.channel_id, reason_code=str(cause))
