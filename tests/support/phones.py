"""Telephones at a real Asterisk: they hear, press digits and hang up, past the proxy.

Each is the second half of a Local channel, in a Stasis application of the test; the first half goes
through the dialplan into an application under test, or is called by one. What happens to either,
Asterisk tells this application itself.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import websockets

from ari_proxy.ari.rest import RestClient
from tests.support.calls import asterisk_client
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk

APPLICATION: Final = "phones"
#: What a call enters is in its variable STASIS. OUTCOME is then what has become of one that came
#: back, or the extension of `default` that it was sent to.
DIALPLAN: Final = f"""
[phones]
exten => _far!,1,Answer()
 same => n,Stasis({APPLICATION})
exten => in,1,Stasis(${{STASIS}})
 same => n,Set(OUTCOME=${{STASISSTATUS}} ${{ARI_PROXY_STATUS}})
 same => n,Hangup()
[default]
exten => sales,1,Set(OUTCOME=${{EXTEN}})
 same => n,Hangup()
"""


def dialplan(directory: Path) -> Path:
    """Write the extensions of the phones to a file for `Asterisk(extra=…)`."""
    file = directory / "extensions.conf"
    file.write_text(DIALPLAN)
    return file


class Heard:
    """One channel that a phone is the other half of: what was played to it, and its end."""

    def __init__(self, channel_id: str, name: str) -> None:
        self.channel_id = channel_id
        self.name = name
        #: Media whose playing has begun, in order.
        self.media: list[str] = []
        self.recordings: list[str] = []
        #: Whether an application has it, as far as is known.
        self.is_served = False
        #: The bridge that it is in, or ''.
        self.bridge = ""
        #: What the dialplan has noted; '' while, or if, it has not come back.
        self.outcome = ""
        self.is_gone = False
        #: Whether the test expects nothing more of it.
        self.is_over = False
        #: The dialog that it is of, as far as is known.
        self.dialog_id = ""
        #: What has happened to it, a line each: for the report of a failed test.
        self.history: list[str] = []
        self.changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"{self.channel_id} {self.outcome!r} heard {', '.join(self.media)}"

    def is_related(self, other: "Heard") -> bool:
        """Return whether another channel is one of the same call's."""
        token = self.dialog_id.rpartition(".")[2]
        return other is not self and bool(token) and token in other.channel_id

    def note(self, what: str) -> None:
        """Add to its history what the test has done to it."""
        self.history.append(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {what}")

    def take(self, event: dict[str, Any]) -> None:
        """Note an event of the channel."""
        self.history.append(_line_of(event))
        match event["type"]:
            case "ChannelVarset" if event["variable"] == "ARI_PROXY_DIALOG":
                self.is_served = True
                self.dialog_id = event["value"]
            case "PlaybackStarted":
                self.is_served = True
                self.media.append(event["playback"]["media_uri"])
            case "RecordingStarted":
                self.recordings.append(event["recording"]["name"])
            case "ChannelEnteredBridge":
                self.bridge = event["bridge"]["id"]
            case "ChannelLeftBridge":
                self.bridge = ""
            case "ChannelVarset" if event["variable"] == "OUTCOME":
                self.outcome = event["value"]
            case "ChannelDestroyed":
                self.is_gone = True
        self.changed.set()

    async def until_media(self, count: int) -> None:
        """Wait until so many media were begun, or the channel is gone."""
        await self.until(lambda: len(self.media) >= count)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds, or the channel is gone."""
        while not condition() and not self.is_gone:
            self.changed.clear()
            await self.changed.wait()


class Phones:
    """All phones of an Asterisk."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest
        self._numbers = itertools.count(1)
        #: By channel id, the first halves; by name, the ids of the second ones.
        self.heard: dict[str, Heard] = {}
        self._others: dict[str, str] = {}
        #: What ends when nothing has happened for so many seconds.
        self._limits: dict[asyncio.Timeout, float] = {}
        #: Called with each one that is called by an application.
        self.answer: Callable[[Heard], object] = lambda _: None

    def take(self, event: dict[str, Any]) -> None:
        """Note an event of Asterisk."""
        now = asyncio.get_running_loop().time()
        for limit, seconds in self._limits.items():
            if not limit.expired():
                limit.reschedule(now + seconds)
        channel = event.get("channel")
        if channel is not None and event["type"] == "ChannelCreated":
            self._add(channel["id"], channel["name"])
        heard = self.heard.get(_channel_of(event))
        if heard is not None:
            heard.take(event)

    def _add(self, channel_id: str, name: str) -> None:
        if name.endswith(";2"):
            self._others[name] = channel_id
        elif channel_id in self.heard:
            self.heard[channel_id].name = name
        else:
            self.heard[channel_id] = Heard(channel_id, name)
            self.answer(self.heard[channel_id])

    def _other_half(self, heard: Heard) -> str:
        return self._others[heard.name.removesuffix(";1") + ";2"]

    @asynccontextmanager
    async def while_alive(self, seconds: float) -> AsyncIterator[None]:
        """Run a block for as long as something happens to some phone.

        Raises:
            TimeoutError: nothing has happened for so long.
        """
        async with asyncio.timeout(seconds) as limit:
            self._limits[limit] = seconds
            try:
                yield
            finally:
                del self._limits[limit]

    async def until_registered(self, *applications: str) -> None:
        """Wait until Asterisk has these applications."""

        async def are_registered() -> bool:
            answer = await self._rest.request("GET", "/applications")
            return {*applications} <= {found["name"] for found in json.loads(answer.body)}

        await until(are_registered)

    async def call(self, application: str, *arguments: str) -> Heard:
        """Call an application, with arguments."""
        # Asterisk refuses an id that another one begins with (409).
        name = f"{application}-{next(self._numbers):04}"
        self.heard[name] = heard = Heard(name, "")
        query = {
            "endpoint": "Local/far@phones/n",
            "context": "phones",
            "extension": "in",
            "channelId": name,
        }
        variables = {"variables": {"STASIS": ",".join((application, *arguments))}}
        answer = await self._rest.request(
            "POST", f"/channels?{urlencode(query)}", json.dumps(variables)
        )
        heard.note(f"called {application}: {answer.status}")
        assert answer.status == 200, answer
        return heard

    async def press(self, heard: Heard, digits: str) -> None:
        """Press digits; nothing happens if the phone is gone."""
        query = urlencode({"dtmf": digits, "between": 100, "duration": 100})
        path = f"/channels/{self._other_half(heard)}/dtmf?{query}"
        answer = await self._rest.request("POST", path)
        heard.note(f"pressed {digits}: {answer.status}")

    async def react(self, heard: Heard, reactions: Mapping[str, str]) -> None:
        """Press digits whenever some media begin, until the call is over.

        Args:
            heard: the call.
            reactions: by medium, the digits.
        """
        for position in itertools.count():
            await heard.until_media(position + 1)
            if heard.is_gone:
                return
            if digits := reactions.get(heard.media[position]):
                await self.press(heard, digits)

    async def talk(self, heard: Heard) -> None:
        """Say something."""
        query = urlencode({"media": "sound:tt-monkeys"})
        await self._rest.request("POST", f"/channels/{self._other_half(heard)}/play?{query}")

    async def hang_up(self, heard: Heard) -> None:
        """Hang up; nothing happens if the phone is gone."""
        answer = await self._rest.request("DELETE", f"/channels/{self._other_half(heard)}")
        heard.note(f"hung up: {answer.status}")

    async def channels(self) -> list[str]:
        """Return the names of the channels that Asterisk has."""
        answer = await self._rest.request("GET", "/channels")
        return [f"{channel['name']} {channel['id']}" for channel in json.loads(answer.body)]

    async def stored_recordings(self) -> list[str]:
        """Return the names of the recordings that Asterisk has."""
        answer = await self._rest.request("GET", "/recordings/stored")
        return [recording["name"] for recording in json.loads(answer.body)]


def _line_of(event: dict[str, Any]) -> str:
    """Return an event as a line of a call's history."""
    found = {
        "media": event.get("playback", {}).get("media_uri"),
        "state": event.get("playback", event.get("recording", {})).get("state"),
        "name": event.get("recording", {}).get("name"),
        "bridge": event.get("bridge", {}).get("id"),
        **{name: event.get(name) for name in ("variable", "value", "digit", "cause", "dialstatus")},
    }
    parts = [f"{name}={value}" for name, value in found.items() if value]
    return " ".join((event["timestamp"], event["type"], *parts))


def _channel_of(event: dict[str, Any]) -> str:
    """Return the channel that an event is about, or ''."""
    for kind in ("playback", "recording"):
        if kind in event:
            return str(event[kind]["target_uri"]).removeprefix("channel:")
    return str(event.get("channel", {}).get("id", ""))


@asynccontextmanager
async def phones(asterisk: Asterisk) -> AsyncIterator[Phones]:
    """Have phones around a block."""
    account = f"api_key=ari:{PASSWORD}"
    url = f"{asterisk.websocket_url}?app={APPLICATION}&subscribeAll=true&{account}"
    async with asterisk_client(asterisk) as rest:
        found = Phones(rest)

        async def hear(socket: websockets.ClientConnection) -> None:
            async for frame in socket:
                found.take(json.loads(frame))

        async with websockets.connect(url, max_queue=None) as socket, asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(hear(socket))
            yield found
            hearing.cancel()
