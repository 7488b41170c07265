"""Copies of the messages of a call, as a tap publishes them."""

import json
from typing import Any

import msgspec

from ari_proxy.tap import records
from ari_proxy.tap.records import Kind, TapRecord

DIALOG = "s.0123456789abcdef"


def copy_of(kind: Kind, at: float = 0.0, dialog: str = DIALOG, **message: Any) -> TapRecord:
    encoded = records.encode(kind, at, "s", dialog, json.dumps(message).encode())
    return msgspec.json.decode(encoded, type=TapRecord)


def event(event_type: str, sequence: int = 1, **body: Any) -> TapRecord:
    application = body.pop("application", "demo")
    body = {"type": event_type, "application": application, **body}
    dialog = body.pop("dialog", DIALOG)
    ari_body = json.dumps(body)
    return copy_of("event", 0.001, dialog, type=event_type, sequence=sequence, ari_body=ari_body)


CALL = [
    copy_of("app_start", application="demo", channel_id="1.2"),
    event("StasisStart"),
    copy_of("command", 0.002, method="POST", url="/channels/1.2/answer"),
    copy_of("request", 0.002, method="POST", url="/channels/1.2/answer"),
    copy_of("response", 0.003, status_code=204, response_body=""),
    copy_of("unheard", 0.004, type="ChannelDtmfReceived", ari_body='{"digit":"5"}'),
    copy_of("end", 0.005),
]
