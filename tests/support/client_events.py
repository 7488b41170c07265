"""Events as an application gets them."""

import json
from typing import Any, Final

from ari_proxy.client import events
from ari_proxy.client.ari.model import Event

_TIME: Final = "2026-11-23T09:34:47.436+0000"


def event(event_type: str, **fields: Any) -> Event:
    """Return an event of a known type."""
    body = {"type": event_type, "application": "demo", "timestamp": _TIME, **fields}
    found = events.decode(json.dumps(body))
    assert not isinstance(found, events.RawEvent), found
    return found


def channel(name: str, state: str = "Up") -> dict[str, Any]:
    """Return a channel as events have it."""
    return {
        "id": name,
        "name": f"Local/{name}",
        "state": state,
        "protocol_id": "",
        "caller": {"name": "", "number": ""},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {
            "context": "default",
            "exten": "s",
            "priority": 1,
            "app_name": "Stasis",
            "app_data": "demo",
        },
        "creationtime": _TIME,
        "language": "en",
    }


def bridge(name: str, *channels: str) -> dict[str, Any]:
    """Return a bridge as events have it."""
    return {
        "id": name,
        "technology": "simple_bridge",
        "bridge_type": "mixing",
        "bridge_class": "stasis",
        "creator": "Stasis",
        "name": "",
        "channels": list(channels),
        "creationtime": _TIME,
    }


def playback(event_type: str, name: str, state: str, media_uri: str = "sound:a") -> Event:
    """Return an event of a playback."""
    shown = {"id": name, "media_uri": media_uri, "target_uri": "channel:c", "state": state}
    return event(event_type, playback=shown)


def recording(event_type: str, name: str, state: str, **fields: Any) -> Event:
    """Return an event of a recording."""
    shown = {"name": name, "format": "wav", "target_uri": "channel:c", "state": state, **fields}
    return event(event_type, recording=shown)
