"""Tries on NATS what each service does there, and looks for streams that record its subjects."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Final

from ari_proxy.bus.base import Bus, Message
from ari_proxy.bus.errors import BusError, BusRefusedError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings

from .findings import Finding, Level

_RIGHTS: Final = "give the account the rights of docs/reference/wire.md#permissions"
_STREAMS: Final = "record copies instead: docs/reference/wire.md#jetstream"
_API: Final = "$JS.API.STREAM.NAMES"
#: For JetStream to tell its streams.
_API_SECONDS: Final = 2.0


def _subscribed(server: ServerId) -> Mapping[str, tuple[str, ...]]:
    """Return what each service listens to."""
    watching = topics.watching(server)
    return {
        "ingest": (
            topics.bindings(server),
            topics.owners(server),
            topics.hand_over(server),
            watching,
        ),
        "command": (topics.commands_of_all_dialogs(server), topics.commands(server), watching),
    }


def _published(server: ServerId) -> Mapping[str, tuple[str, ...]]:
    """Return topics of a dialog that nobody has, on which each service sends."""
    dialog = ids.new_dialog_id(server)
    return {"ingest": (topics.events(dialog),), "command": (topics.responses(dialog),)}


async def rights(settings: Settings, bus: Bus) -> AsyncIterator[Finding]:
    """Yield of each service whether the account may do what it needs to.

    One that may not is a fault, unless the account is the other one's.
    """
    server = ServerId(settings.server_id)
    denied = {
        service: [
            *[topic for topic in heard if not await _may_subscribe(bus, topic)],
            *[t for t in _published(server)[service] if not await _may_publish(bus, t)],
        ]
        for service, heard in _subscribed(server).items()
    }
    is_of_one = not all(denied.values())
    for service, refused in denied.items():
        what = f"bus, rights of {service}"
        if refused:
            names = ", ".join(map(topics.pattern_of, refused))
            level: Level = "warning" if is_of_one else "fault"
            yield Finding(level, what, f"NATS refuses {names}", _RIGHTS)
        else:
            yield Finding("ok", what, "all that was tried is allowed")


async def _may_subscribe(bus: Bus, topic: str) -> bool:
    """Listen for a moment, in no group: nobody's messages are taken."""
    before = bus.refusals
    subscription = await bus.subscribe(topic, _ignore)
    await subscription.unsubscribe()
    return bus.refusals == before


def _ignore(_: Message) -> None:
    """Take a copy of what passes at that moment."""


async def _may_publish(bus: Bus, topic: str) -> bool:
    try:
        await bus.offer(topic, b"{}")
    except BusRefusedError:
        return False
    return True


async def streams(settings: Settings, bus: Bus) -> AsyncIterator[Finding]:
    """Yield the JetStream streams that record subjects of calls, as far as the account may ask."""
    dialogs = topics.pattern_of(topics.events(ids.new_dialog_id(ServerId(settings.server_id))))
    for topic in (*settings.applications, dialogs):
        for stream in await _streams_over(bus, topic):
            yield Finding("fault", "bus, JetStream", f"stream {stream} records {topic}", _STREAMS)


async def _streams_over(bus: Bus, topic: str) -> list[str]:
    question = json.dumps({"subject": topic}).encode()
    try:
        answer = json.loads(await bus.request(_API, question, timeout_seconds=_API_SECONDS))
    except (BusError, ValueError):  # There is no JetStream, or the account may not ask.
        return []
    return list(answer.get("streams") or ())
