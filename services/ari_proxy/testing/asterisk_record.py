"""The messages of a call on a real Asterisk, from copies that the proxy makes."""

from collections.abc import Callable
from typing import Any, Final

from ari_proxy.bus.base import Bus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.records import Kind
from ari_proxy.watch.render.descriptions import event_body, message_of

from .record import CallRecord

#: Kinds whose messages name their application.
_NAMING: Final = frozenset({"app_start", "event", "unheard"})

#: Gets the type and the fields of an event.
Hear = Callable[[str, dict[str, Any]], None]


class AsteriskRecord(CallRecord):
    """A record of one application's dialogs alone."""

    def __init__(self, server: ServerId, bus: Bus, application: str, hear: Hear) -> None:
        """Initialise an empty record.

        Args:
            server: of the dialogs.
            bus: of the proxy.
            application: whose messages are kept.
            hear: gets its events of Asterisk.
        """
        super().__init__(server, bus)
        self._application = application
        self._hear = hear
        self._kept_dialogs: set[str] = set()

    def copy(self, kind: Kind, dialog_id: str, message: bytes = b"{}") -> None:
        """Keep a copy of a message of the application."""
        record = self.record_of(kind, dialog_id, message)
        content = event_body(record) or message_of(record)
        if kind in _NAMING and content.get("application") == self._application:
            self._kept_dialogs.add(dialog_id)
        if dialog_id in self._kept_dialogs:
            self.keep(record)
            if kind in {"event", "unheard"}:
                self._hear(str(content.get("type", "")), content)
