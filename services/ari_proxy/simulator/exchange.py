"""The behaviour of the simulated Asterisk: calls, bridges and their events.

Error texts and the order of events follow recordings of Asterisk 22.
"""

import asyncio
from typing import Any, Final

from ari_proxy.ari import causes

from .arguments import separated
from .external_media import INTERNAL_ERROR
from .media import PLAYBACK_SECONDS, Media
from .model import (
    Emit,
    Parameters,
    SimulatedBridge,
    SimulatedChannel,
    SimulatedRefusalError,
    new_id,
)
from .plans import RING_SECONDS, EndpointPlan, plan_of_extension, plan_of_media, ring_seconds
from .snooping import snoop

#: Seconds between two digits of the simulated caller.
DIGIT_SECONDS: Final = 0.05
#: Seconds of a `w` among them, as of the dialplan's SendDTMF.
PAUSE_SECONDS: Final = 0.5
_PAUSE: Final = "w"


class Exchange:
    """Channels and bridges with their state changes, and the media they play and record."""

    def __init__(
        self, tasks: asyncio.TaskGroup, emit: Emit, *, playback_seconds: float = PLAYBACK_SECONDS
    ) -> None:
        """Initialise without calls.

        Args:
            tasks: run what happens in calls.
            emit: sends events.
            playback_seconds: the length of every sound.
        """
        self._tasks = tasks
        self._emit = emit
        #: By endpoint, like `PJSIP/200`; all others do what their extension says.
        self.plans: dict[str, EndpointPlan] = {}
        self.channels: dict[str, SimulatedChannel] = {}
        self.bridges: dict[str, SimulatedBridge] = {}
        self.media = Media(tasks, emit, self._app_of, playback_seconds=playback_seconds)

    # Look-up

    def channel(self, name: str) -> SimulatedChannel:
        """Return a channel."""
        if name not in self.channels:
            raise SimulatedRefusalError(404, "Channel not found")
        return self.channels[name]

    def bridge(self, name: str) -> SimulatedBridge:
        """Return a bridge."""
        if name not in self.bridges:
            raise SimulatedRefusalError(404, "Bridge not found")
        return self.bridges[name]

    def _app_of(self, target: str) -> str:
        kind, _, name = target.partition(":")
        if kind == "bridge":
            members = self.bridge(name).channels
            return self.channels[members[0]].app if members else ""
        channel = self.channel(name)
        if not channel.in_stasis:
            raise SimulatedRefusalError(409, "Channel not in Stasis application")
        return channel.app

    # Calls

    def originate(self, name: str, asked: Parameters) -> SimulatedChannel:
        """Call an endpoint, which enters the application once it has answered."""
        channel = self._new_channel(name, asked)
        self._tasks.create_task(self._originated(channel, ring_seconds(asked)))
        return channel

    async def create(self, name: str, asked: Parameters) -> SimulatedChannel:
        """Create a channel that is in the application at once and is dialled later."""
        channel = self._new_channel(name, asked)
        self._tasks.create_task(self._enter(channel))
        return channel

    def dial(self, name: str, asked: Parameters) -> None:
        """Dial a created channel."""
        channel = self.channel(name)
        if channel.state != "Down":
            raise SimulatedRefusalError(409, "Channel is not in the 'Down' state")
        self._tasks.create_task(self._dialled(channel, ring_seconds(asked)))

    def _new_channel(self, name: str, asked: Parameters) -> SimulatedChannel:
        endpoint = asked.get("endpoint", "")
        if not endpoint:
            raise SimulatedRefusalError(400, "Endpoint must be specified")
        name = name or asked.get("channelId") or new_id()
        if name in self.channels:
            raise SimulatedRefusalError(409, "Channel with given unique ID already exists")
        channel = SimulatedChannel(
            id=name,
            app=asked.get("app", ""),
            arguments=separated(asked.get("appArgs", "")),
            technology=endpoint.partition("/")[0],
            dialstring=endpoint.partition("/")[2],
        )
        self.channels[name] = channel
        return channel

    def _plan_of(self, channel: SimulatedChannel) -> EndpointPlan:
        if channel.endpoint in self.plans:
            return self.plans[channel.endpoint]
        if channel.peer:
            return plan_of_media(channel.endpoint)
        return plan_of_extension(channel.extension)

    def connect(self, channel: SimulatedChannel) -> None:
        """Connect a channel of external media, which enters the application once it is."""
        is_away = self._plan_of(channel).refusal is not None
        if channel.id in self.channels or (is_away and channel.technology == "AudioSocket"):
            raise SimulatedRefusalError(500, INTERNAL_ERROR)
        self.channels[channel.id] = channel
        self._tasks.create_task(self._connected(channel))

    async def _connected(self, channel: SimulatedChannel) -> None:
        plan = self._plan_of(channel)
        if plan.refusal is not None:
            await self._destroy(channel, plan.refusal)
            return
        await self._dial_event(channel, "")
        await asyncio.sleep(min(plan.ring_seconds, RING_SECONDS))
        if plan.ring_seconds >= RING_SECONDS or not plan.answers:
            await self._destroy(channel, causes.NO_ANSWER)
        else:
            await self._answered(channel)
            await self._enter(channel)

    def snoop(self, target: str, name: str, asked: Parameters) -> SimulatedChannel:
        """Create a channel that hears another one, and ends with it."""
        channel = snoop(target, name, asked, self.channels)
        self.channels[channel.id] = channel
        self._tasks.create_task(self._enter(channel))
        return channel

    async def _originated(self, channel: SimulatedChannel, seconds: float) -> None:
        plan = self._plan_of(channel)
        await self._dial_event(channel, "")
        if plan.refusal is not None:
            await self._channel_event("ChannelHangupRequest", channel, cause=plan.refusal)
            is_busy = plan.refusal == causes.BUSY
            await self._dial_event(channel, "BUSY" if is_busy else "CONGESTION")
            await self._destroy(channel, plan.refusal)
        elif await self._rings_in_vain(channel, plan, seconds):
            await self._destroy(channel, causes.NO_ANSWER)
        else:
            await self._answered(channel)
            await self._enter(channel)
            await self._press_digits(channel, plan.digits)

    async def _dialled(self, channel: SimulatedChannel, seconds: float) -> None:
        plan = self._plan_of(channel)
        await self._dial_event(channel, "")
        if plan.refusal is not None:
            await self._channel_event("ChannelHangupRequest", channel, cause=plan.refusal)
            await self._leave(channel)
            await self._destroy(channel, plan.refusal)
        elif await self._rings_in_vain(channel, plan, seconds):
            await self._channel_event("ChannelHangupRequest", channel, cause=32, soft=True)
            await self._leave(channel)
            await self._destroy(channel, causes.NO_ANSWER)
        else:
            await self._answered(channel)
            await self._press_digits(channel, plan.digits)

    async def _rings_in_vain(
        self, channel: SimulatedChannel, plan: EndpointPlan, seconds: float
    ) -> bool:
        """Ring as planned, for some seconds at most; return whether nobody has answered."""
        if not plan.ring_seconds:
            return False
        channel.ring()
        await self._channel_event("ChannelStateChange", channel)
        await self._dial_event(channel, "RINGING")
        await asyncio.sleep(min(plan.ring_seconds, seconds))
        return plan.ring_seconds >= seconds or not plan.answers

    async def _answered(self, channel: SimulatedChannel) -> None:
        channel.answer()
        await self._channel_event("ChannelStateChange", channel)
        await self._dial_event(channel, "ANSWER")

    async def _enter(self, channel: SimulatedChannel) -> None:
        channel.enter_stasis()
        await self._channel_event("StasisStart", channel, args=list(channel.arguments))

    async def _press_digits(self, channel: SimulatedChannel, digits: str) -> None:
        for digit in digits:
            await asyncio.sleep(PAUSE_SECONDS if digit == _PAUSE else DIGIT_SECONDS)
            if digit != _PAUSE:
                pressed = {"digit": digit, "duration_ms": 100}
                await self._channel_event("ChannelDtmfReceived", channel, **pressed)
                self.media.press(f"channel:{channel.id}", digit)

    async def answer(self, name: str) -> None:
        """Answer a caller; of a channel that is up already, do nothing."""
        channel = self.channel(name)
        if channel.state == "Ring":
            channel.answer()
            await self._channel_event("ChannelStateChange", channel)

    async def hang_up(self, name: str, cause: int = causes.NORMAL) -> None:
        """Hang up a channel."""
        channel = self.channel(name)
        await self._channel_event("ChannelHangupRequest", channel, cause=32, soft=True)
        await self._leave(channel)
        await self._destroy(channel, cause)

    # Callers

    async def call_in(self, app: str, *, caller: str, extension: str) -> SimulatedChannel:
        """Have a caller enter an application; it is answered there."""
        channel = SimulatedChannel(
            id=new_id(), app=app, technology="PJSIP", caller=caller, dialstring=extension
        )
        channel.state = "Ring"
        self.channels[channel.id] = channel
        await self._enter(channel)
        return channel

    def press(self, name: str, digits: str) -> None:
        """Press digits at the other end of a channel, one after another."""
        self._tasks.create_task(self._press_digits(self.channel(name), digits))

    async def hang_up_at_peer(self, name: str, cause: int = causes.NORMAL, **more: int) -> None:
        """Hang up at the other end of a channel, with a cause and what else is told of it."""
        channel = self.channel(name)
        await self._channel_event("ChannelHangupRequest", channel, cause=cause, **more)
        await self._leave(channel)
        await self._destroy(channel, cause)

    async def leave(self, name: str) -> None:
        """Send a channel back into the dialplan."""
        channel = self.channel(name)
        if not channel.in_stasis:
            raise SimulatedRefusalError(409, "Channel not in Stasis application")
        await self._leave(channel)

    async def set_variable(self, name: str, variable: str, value: str) -> None:
        """Set a channel variable."""
        channel = self.channel(name)
        channel.variables[variable] = value
        await self._channel_event("ChannelVarset", channel, variable=variable, value=value)

    async def _leave(self, channel: SimulatedChannel) -> None:
        await self.media.stop(f"channel:{channel.id}")
        if channel.bridge:
            await self._leave_bridge(channel)
        if channel.in_stasis:
            channel.leave_stasis()
            await self._channel_event("StasisEnd", channel)

    async def _destroy(self, channel: SimulatedChannel, cause: int) -> None:
        for snooping in [one for one in self.channels.values() if one.snooped == channel.id]:
            await self._leave(snooping)
            self.channels.pop(snooping.id, None)
        if channel.snooped:
            self.channels.pop(channel.id, None)  # Nobody is told more than its StasisEnd.
        if channel.id in self.channels:
            text = causes.text_of(cause)
            await self._channel_event("ChannelDestroyed", channel, cause=cause, cause_txt=text)
            self.channels.pop(channel.id, None)

    async def _channel_event(
        self, event_type: str, channel: SimulatedChannel, **fields: Any
    ) -> None:
        if channel.id in self.channels:
            await self._emit(channel.app, event_type, **fields, channel=channel.as_json())

    async def _dial_event(self, channel: SimulatedChannel, status: str) -> None:
        dial = {"dialstatus": status, "forward": "", "dialstring": channel.dialstring}
        if channel.id in self.channels:
            await self._emit(channel.app, "Dial", **dial, peer=channel.as_json())

    # Bridges

    def create_bridge(self, name: str, asked: Parameters) -> SimulatedBridge:
        """Create a bridge."""
        name = name or asked.get("bridgeId") or new_id()
        if name in self.bridges:
            raise SimulatedRefusalError(409, "Bridge with id already exists")
        self.bridges[name] = SimulatedBridge(id=name, name=asked.get("name", ""))
        return self.bridges[name]

    async def add_channels(self, name: str, channels: list[str]) -> None:
        """Put channels into a bridge."""
        bridge = self.bridge(name)
        if not all(channel in self.channels for channel in channels):
            raise SimulatedRefusalError(400, "Channel not found")
        for channel in map(self.channel, channels):
            if channel.bridge:
                await self._leave_bridge(channel)
            bridge.add(channel)
            shown = bridge.as_json()
            await self._channel_event("ChannelEnteredBridge", channel, bridge=shown)

    async def remove_channels(self, name: str, channels: list[str]) -> None:
        """Remove channels from a bridge."""
        bridge = self.bridge(name)
        if not all(channel in bridge.channels for channel in channels):
            raise SimulatedRefusalError(422, "Channel not in this bridge")
        for channel in map(self.channel, channels):
            await self._leave_bridge(channel)

    async def destroy_bridge(self, name: str) -> None:
        """Destroy a bridge; its channels stay."""
        bridge = self.bridge(name)
        apps = {self.channels[channel].app for channel in bridge.channels}
        await self.media.stop(f"bridge:{name}")
        for channel in map(self.channel, tuple(bridge.channels)):
            await self.media.stop(f"channel:{channel.id}")
            await self._leave_bridge(channel)
        del self.bridges[bridge.id]
        for app in apps:
            await self._emit(app, "BridgeDestroyed", bridge=bridge.as_json())

    async def _leave_bridge(self, channel: SimulatedChannel) -> None:
        bridge = self.bridges[channel.bridge]
        bridge.remove(channel)
        await self._channel_event("ChannelLeftBridge", channel, bridge=bridge.as_json())
        if not bridge.channels:
            await self.media.leave_empty(bridge.id, channel.app)
