"""What the simulated Asterisk holds: channels, bridges, playbacks, recordings; as ARI shows them.

Shapes are those of Asterisk 22's recordings, which `tests/unit/simulator` compares with.
"""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

ENTITY_ID: Final = "02:00:00:00:00:01"
_numbers = itertools.count(1)


def now() -> str:
    """Return the time as Asterisk writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def new_id() -> str:
    """Return an id like those that Asterisk makes."""
    return f"{int(datetime.now(UTC).timestamp())}.{next(_numbers)}"


@dataclass(slots=True, kw_only=True)
class Channel:
    """A channel; a simulated one is a Local channel whose other half presses digits."""

    id: str
    app: str
    digits: str = ""
    state: str = "Down"
    number: str = "1001"
    in_stasis: bool = False
    bridge: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=now)
    serial: int = field(default_factory=lambda: next(_numbers))

    def as_json(self) -> dict[str, Any]:
        """Return the channel as ARI shows it."""
        app_data = {"app_name": "Stasis", "app_data": self.app} if self.in_stasis else {}
        return {
            "id": self.id,
            "name": f"Local/simulated@default-{self.serial:08x};1",
            "state": self.state,
            "protocol_id": "",
            "caller": {"name": "", "number": self.number},
            "connected": {"name": "", "number": ""},
            "accountcode": "",
            "dialplan": {
                "context": "default",
                "exten": "s",
                "priority": 1,
                "app_name": "AppDial2",
                "app_data": "(Outgoing Line)",
                **app_data,
            },
            "creationtime": self.created,
            "language": "en",
        }


@dataclass(slots=True, kw_only=True)
class Bridge:
    """A bridge."""

    id: str
    name: str = ""
    kind: str = "mixing"
    channels: list[str] = field(default_factory=list)
    created: str = field(default_factory=now)

    def as_json(self) -> dict[str, Any]:
        """Return the bridge as ARI shows it."""
        return {
            "id": self.id,
            "technology": "simple_bridge",
            "bridge_type": self.kind,
            "bridge_class": "stasis",
            "creator": "Stasis",
            "name": self.name,
            "channels": list(self.channels),
            "creationtime": self.created,
            "video_mode": "talker",
        }


@dataclass(slots=True, kw_only=True)
class Playback:
    """A playback to a channel or a bridge."""

    id: str
    media: str
    target: str
    app: str
    state: str = "queued"

    def as_json(self) -> dict[str, Any]:
        """Return the playback as ARI shows it."""
        return {
            "id": self.id,
            "media_uri": self.media,
            "target_uri": self.target,
            "language": "en",
            "state": self.state,
        }


@dataclass(slots=True, kw_only=True)
class Recording:
    """A live recording."""

    name: str
    target: str
    app: str
    format: str = "wav"
    state: str = "recording"

    def as_json(self) -> dict[str, Any]:
        """Return the recording as ARI shows it."""
        shown = {"name": self.name, "format": self.format, "state": self.state}
        return shown | {"target_uri": self.target}
