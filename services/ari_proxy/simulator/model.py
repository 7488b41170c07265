"""Channels, bridges, playbacks and recordings of the simulated Asterisk, and their ARI JSON.

The shapes follow recordings of Asterisk 22; `tests/contract/test_simulator.py` compares them.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

ENTITY_ID: Final = "02:00:00:00:00:01"
_numbers = itertools.count(1)

#: Sends an event: (application, event type, **fields).
Emit = Callable[..., Awaitable[None]]
Parameters = Mapping[str, str]


class SimulatedRefusalError(Exception):
    """An ARI error response: HTTP status and message, and the field that has the message."""

    def __init__(self, status: int, message: str, *, field: str = "message") -> None:
        super().__init__(message)
        self.status = status
        self.field = field


def number(text: str) -> int:
    """Return the number that a text begins with, as C reads it; 0 without one."""
    found = re.match(r"\s*[+-]?\d+", text, re.ASCII)
    return int(found[0]) if found else 0


def now() -> str:
    """Return the current time in Asterisk's format."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def new_id() -> str:
    """Return a new unique id in Asterisk's format, `<unix time>.<number>`."""
    return f"{int(datetime.now(UTC).timestamp())}.{next(_numbers)}"


def event_text(app: str, event_type: str, fields: Mapping[str, Any]) -> str:
    """Return an event as Asterisk writes it: without white space."""
    event = {"type": event_type, "timestamp": now(), **fields}
    told = event | {"asterisk_id": ENTITY_ID, "application": app}
    return json.dumps(told, separators=(",", ":"))


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedChannel:
    """A Local channel, whose other half runs an extension; or one to or from somebody."""

    id: str
    app: str
    arguments: tuple[str, ...] = ()
    #: Like `dtmf-123@default/n`; of a caller, the extension that was called.
    dialstring: str = "s@default"
    technology: str = "Local"
    #: The other end of external media, like `agents` or `127.0.0.1:9092`.
    peer: str = ""
    #: The id of the channel that it hears.
    snooped: str = ""
    #: The number of a caller.
    caller: str = ""
    state: str = "Down"
    in_stasis: bool = False
    bridge: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=now)
    serial: int = field(default_factory=lambda: next(_numbers))

    def ring(self) -> None:
        """Ring: the other half is called."""
        self.state = "Ringing"

    def answer(self) -> None:
        """Note that the other half has answered."""
        self.state = "Up"

    def enter_stasis(self) -> None:
        """Enter the application."""
        self.in_stasis = True

    def leave_stasis(self) -> None:
        """Leave the application."""
        self.in_stasis = False

    def join(self, bridge: str) -> None:
        """Put it into a bridge, or into none ('')."""
        self.bridge = bridge

    @property
    def extension(self) -> str:
        """The extension that the other half runs, like `dtmf-123`."""
        return self.dialstring.partition("@")[0]

    @property
    def endpoint(self) -> str:
        """What was called, like `PJSIP/200` or `WebSocket/agents`."""
        return f"{self.technology}/{self.peer or self.dialstring}"

    @property
    def name(self) -> str:
        """Its name, unique while it exists."""
        if self.technology == "Local":
            return f"Local/{self.extension}@default-{self.serial:08x};1"
        if self.snooped:
            return f"Snoop/{self.snooped}-{self.serial:08x}"
        if self.technology == "AudioSocket":
            return f"AudioSocket/{self.dialstring.replace('/', '-')}"
        if self.peer:
            return (
                f"{self.endpoint}{'/' if self.technology == 'WebSocket' else '-'}0x{self.serial:x}"
            )
        return f"{self.technology}/{self.caller or self.extension}-{self.serial:08x}"

    def as_json(self) -> dict[str, Any]:
        """Return the channel as ARI shows it."""
        app, data = ("", "") if self.snooped else ("AppDial2", "(Outgoing Line)")
        if self.in_stasis:
            app, data = "Stasis", ",".join((self.app, *self.arguments))
        dialplan = {"context": "default", "exten": self.extension, "priority": 1}
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": "",
            "caller": {"name": "", "number": self.caller},
            "connected": {"name": "", "number": ""},
            "accountcode": "",
            "dialplan": dialplan | {"app_name": app, "app_data": data},
            "creationtime": self.created,
            "language": "en",
        }


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedBridge:
    """A bridge."""

    id: str
    name: str = ""
    kind: str = "mixing"
    channels: list[str] = field(default_factory=list)
    created: str = field(default_factory=now)

    def add(self, channel: SimulatedChannel) -> None:
        """Add a channel."""
        channel.join(self.id)
        self.channels.append(channel.id)

    def remove(self, channel: SimulatedChannel) -> None:
        """Remove a channel."""
        channel.join("")
        self.channels.remove(channel.id)

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


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedPlayback:
    """A playback of one or more media to a channel or a bridge."""

    id: str
    media: tuple[str, ...]
    target: str
    app: str
    state: str = "queued"
    position: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    unpaused: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.unpaused.set()

    def enter(self, state: str) -> None:
        """Enter a state, by Asterisk's name."""
        self.state = state

    def start(self, position: int) -> None:
        """Go to one of its media."""
        self.position = position

    def pause(self) -> None:
        """Pause before the next of its media."""
        self.unpaused.clear()
        self.state = "paused"

    def stop(self) -> None:
        """Stop, also where it is paused."""
        self.stopped.set()
        self.unpaused.set()

    def as_json(self) -> dict[str, Any]:
        """Return the playback as ARI shows it."""
        following = self.media[self.position + 1 : self.position + 2]
        return {
            "id": self.id,
            "media_uri": self.media[self.position],
            **({"next_media_uri": following[0]} if following else {}),
            "target_uri": self.target,
            "language": "en",
            "state": self.state,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class SimulatedRecording:
    """A recording, live until it is done."""

    name: str
    target: str
    app: str
    format: str = "wav"
    max_seconds: float | None = None
    #: The digit that ends it, `any` or `none`.
    terminate_on: str = "none"
    is_cancelled: bool = False
    state: str = "queued"
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, state: str) -> None:
        """Enter a state, by Asterisk's name."""
        self.state = state

    def tell(self, app: str) -> None:
        """Have an application told of it."""
        self.app = app

    def cancel(self) -> None:
        """Note that it is not to be stored."""
        self.is_cancelled = True

    def as_json(self) -> dict[str, Any]:
        """Return the live recording as ARI shows it."""
        shown = {"name": self.name, "format": self.format, "state": self.state}
        shown |= {"target_uri": self.target}
        return {**shown, "duration": 0} if self.state == "done" else shown

    def as_stored(self) -> dict[str, Any]:
        """Return the stored recording as ARI shows it."""
        return {"name": self.name, "format": self.format}
