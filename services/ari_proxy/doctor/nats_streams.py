"""Detection of JetStream streams that record subjects of calls."""

import json
from collections.abc import AsyncIterator
from typing import Final

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings

from .findings import Finding

_STREAMS: Final = "record copies instead, see docs/reference/wire.md#jetstream"
_API: Final = "$JS.API.STREAM.NAMES"
#: Timeout of one JetStream request.
_API_SECONDS: Final = 2.0


async def streams(settings: Settings, bus: Bus) -> AsyncIterator[Finding]:
    """Yield the streams that record subjects of calls, if the account may list streams."""
    dialogs = topics.pattern_of(topics.events(ids.new_dialog_id(ServerId(settings.server_id))))
    for topic in (*settings.applications, dialogs):
        for stream in await _streams_over(bus, topic):
            yield Finding("fault", "bus, JetStream", f"stream {stream} records {topic}", _STREAMS)


async def _streams_over(bus: Bus, topic: str) -> list[str]:
    question = json.dumps({"subject": topic}).encode()
    try:
        answer = json.loads(await bus.request(_API, question, timeout_seconds=_API_SECONDS))
    except (
        BusError,
        ValueError,
        RecursionError,
    ):  # No JetStream, or no right to use its API.
        return []
    return list(answer.get("streams") or ())
