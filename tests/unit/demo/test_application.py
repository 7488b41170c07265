"""The example application, with a call whose commands are answered at once."""

import asyncio
import json
from typing import Any

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle
from ari_proxy.client.call import Call
from ari_proxy.demo.application import DigitCollector
from ari_proxy.protocol.messages import AppStart

DIALOG = "asterisk.2g88jhgcnt8dm6c8"


class Answering:
    """A bus on which each command is answered at once."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.call = Call(self, AppStart("demo", DIALOG, "asterisk", channel_id="a/b"))

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        assert (topic, reply, once) == (f"commands_{DIALOG}", "", True)
        command = json.loads(payload)
        self.commands.append(f"{command['method']} {command['url']}")
        response = {"unique_id": command["unique_id"], "status_code": 204, "response_body": ""}
        message = Message(f"responses_{DIALOG}", json.dumps(response).encode())
        asyncio.get_running_loop().call_soon(self.call.take_response, message)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        raise NotImplementedError(topic, handler, group)

    def send(self, event_type: str, **fields: Any) -> None:
        event = {
            "type": event_type,
            "server_id": "asterisk",
            "timestamp": "",
            "ari_body": json.dumps({"type": event_type, **fields}),
        }
        self.call.take_event(Message(f"events_{DIALOG}", json.dumps(event).encode()))


async def test_call_is_answered_and_hung_up_after_four_digits() -> None:
    bus, collector = Answering(), DigitCollector()
    bus.send("StasisStart", channel={"id": "a/b"})
    for digit in "1234":
        bus.send("ChannelDtmfReceived", digit=digit)
    bus.send("StasisEnd", channel={"id": "a/b"})
    await collector.serve(bus.call)

    assert bus.commands == [
        "POST /channels/a%2Fb/answer",
        "POST /channels/a%2Fb/play?media=sound%3Ahello-world",
        "DELETE /channels/a%2Fb",
    ]
    assert collector.digits == {DIALOG: "1234"}


async def test_caller_whose_digit_was_lost_enters_all_four_again() -> None:
    times = iter([0.0, 1.0, 1.3, 1.6, 4.0, 4.3, 4.6, 4.9])
    bus, collector = Answering(), DigitCollector(now=times.__next__)
    bus.send("StasisStart", channel={"id": "a/b"})
    for digit in "1241234":
        bus.send("ChannelDtmfReceived", digit=digit)
    bus.send("StasisEnd", channel={"id": "a/b"})
    await collector.serve(bus.call)

    assert collector.digits == {DIALOG: "1234"}


async def test_caller_who_hangs_up_early_has_no_digits() -> None:
    bus, collector = Answering(), DigitCollector()
    bus.send("StasisStart", channel={"id": "a/b"})
    bus.send("ChannelDtmfReceived", digit="1")
    bus.send("StasisEnd", channel={"id": "a/b"})
    await collector.serve(bus.call)

    assert collector.digits == {}
    assert "DELETE /channels/a%2Fb" not in bus.commands
