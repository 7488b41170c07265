"""A process with a flight recorder, on a bus in memory."""

from collections.abc import Mapping

from ari_proxy.bus.base import Bus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.tap import Tap


async def recording(
    bus: Bus, name: str, server: str = "s", *, dialogs: Mapping[str, str] | None = None
) -> Tap:
    """Return a tap that keeps messages and answers; as an ingest if it has dialogs."""
    recorder = Recorder(server, name, max_calls=10, max_bytes=10**6, masking=Masking())
    tap = Tap(ServerId(server), bus, recorder=recorder)
    tap.set_dialogs(lambda: dialogs)
    await tap.listen()
    return tap


def keep_all(tap: Tap, *copied: TapRecord) -> None:
    """Let messages pass."""
    for record in copied:
        tap.copy(record.kind, record.dialog_id, bytes(record.message))
