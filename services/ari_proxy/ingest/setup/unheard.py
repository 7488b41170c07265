"""Events that no listener got, taken back from a bus that keeps no messages."""

from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.protocol import topics

from .setup import DialogSetup


class UnheardEvents:
    """Holds events that no listener got until their applications are back."""

    def __init__(self, dialogs: DialogTable, stream: DialogStream, setup: DialogSetup) -> None:
        self._dialogs = dialogs
        self._stream = stream
        self._setup = setup

    def take_back(self, topic: str, payload: bytes) -> bool:
        """Hold an event that no listener got; return False if its dialog waits for nobody."""
        dialog = self._dialogs.dialogs.get(topics.owner_of(topic))
        if dialog is None or not self._stream.take_back(dialog, payload):
            return False
        self._setup.begin(dialog)
        return True
