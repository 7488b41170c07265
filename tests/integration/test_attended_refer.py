"""A phone that is in two calls transfers one to the other, by REFER with Replaces; Asterisk 22."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest

from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.client.errors import NotAccepted
from ari_proxy.client.legs.bridge import Bridge
from ari_proxy.client.legs.leg import Leg
from tests.support.memory_proxy import CallScene, call_scene
from tests.support.running import until
from tests.support.servers import Asterisk
from tests.support.sip_phone import SipPhone, sip_phone

FRIEND = "Local/answer@default/n"
#: Enters the application, which the test tells Asterisk.
NUMBER = "1000"


class Talk:
    """A caller, the phone that talks to them, and a second call of that phone."""

    def __init__(self, phone: SipPhone) -> None:
        self._phone = phone
        #: Of the caller and of the consultation: call, leg and bridge.
        self.calls: list[tuple[Call, Leg, Bridge]] = []
        #: Of those whose conversation is over, the call.
        self.over: list[Call] = []

    async def serve(self, call: Call) -> None:
        """Connect the caller with the phone, and the phone with a friend."""
        is_first = not self.calls
        await call.answer()
        async with call.bridge() as room:
            leg = await call.dial(f"PJSIP/sipp/{self._phone.uri}" if is_first else FRIEND)
            await room.add(call, leg)
            self.calls.append((call, leg, room))
            await room.wait_for_leaver()
        self.over.append(call)
        await call.hang_up()

    async def consult(self) -> None:
        """Have the phone call the friend."""
        await until(lambda: self.calls)
        await self.press()
        await until(lambda: len(self.calls) == len("ab"))

    async def press(self) -> None:
        """Send the phone a digit."""
        _, leg, _ = self.calls[0]
        await leg.ari.channels.send_dtmf(leg.channel_id, dtmf="1")


@asynccontextmanager
async def talk(asterisk: Asterisk) -> AsyncIterator[tuple[CallScene, SipPhone, Talk]]:
    """Have a caller talk to a phone that consults somebody, around a block."""
    async with (
        sip_phone(NUMBER, consulted_at=asterisk.sip_address) as phone,
        call_scene(asterisk) as scene,
        asyncio.TaskGroup() as tasks,
    ):
        query = urlencode({"variable": "SIP_APP", "value": scene.application})
        await scene.rest.request("POST", f"/asterisk/variable?{query}")
        found = Talk(phone)
        serving = tasks.create_task(Application(scene.bus, scene.application, found.serve).run())
        query = urlencode({"endpoint": FRIEND, "app": scene.application})
        await scene.rest.request("POST", f"/channels?{query}")
        await found.consult()
        yield scene, phone, found
        await scene.until_nothing_is_left()
        serving.cancel()


async def test_asterisk_joins_the_calls_and_both_go_on(asterisk_22: Asterisk) -> None:
    async with talk(asterisk_22) as (scene, phone, found):
        (caller, leg, room), (consultation, friend, other_room) = found.calls
        phones = leg.channel_id, consultation.channel_id

        await found.press()
        await until(lambda: phone.told[-1:] == [200])
        await until(lambda: phones[0] != leg.channel_id and phones[1] != consultation.channel_id)
        await until(lambda: len(room.members) == len(other_room.members) == len("ab"))

        assert {*room.members} == {caller, leg}
        assert {*other_room.members} == {consultation, friend}
        assert found.over == []
        assert consultation.state == "Up"
        await scene.rest.request("DELETE", f"/channels/{friend.channel_id}")
        await until(lambda: {*found.over} == {caller, consultation})


async def test_application_is_asked_and_may_decline(asterisk_22: Asterisk) -> None:
    async with talk(asterisk_22) as (_, phone, found):
        (caller, leg, _), (consultation, *_) = found.calls
        async with leg.phone_transfers() as asked:
            await found.press()
            transfer = await anext(asked)
            with pytest.raises(NotAccepted):
                async with transfer:
                    raise NotAccepted(leg.endpoint, "declined")
            await until(lambda: phone.told[-1:] == [603])

        assert (transfer.target, transfer.replaced_id) == ("", consultation.channel_id)
        assert (transfer.connected_id, transfer.protocol_id != "") == (caller.channel_id, True)
