"""The filter of `tail`. Sans-I/O."""

from collections.abc import Collection, Mapping

from ari_proxy.tap.records import TapRecord

from .render.descriptions import event_body, message_of


class Filter:
    """Selects records by application, dialog and type; an empty criterion matches all."""

    def __init__(
        self,
        *,
        applications: Collection[str] = (),
        dialogs: Collection[str] = (),
        types: Collection[str] = (),
    ) -> None:
        self._applications = frozenset(applications)
        self._dialogs = frozenset(dialogs)
        self._types = frozenset(types)
        #: Dialog id → application, where known; ended dialogs are removed.
        self._application_of: dict[str, str] = {}

    def learn(self, dialogs: Mapping[str, str]) -> None:
        """Add dialogs that an ingest has reported, with their applications."""
        self._application_of.update(dialogs)

    def passes(self, record: TapRecord) -> bool:
        """Return whether a record matches."""
        if record.kind == "skipped":
            return True
        application = self._application(record)
        if self._applications and application not in self._applications:
            return False
        if self._dialogs and record.dialog_id not in self._dialogs:
            return False
        return not self._types or bool(self._types & {record.kind, message_of(record).get("type")})

    def _application(self, record: TapRecord) -> str:
        if not self._applications:
            return ""
        known = self._application_of
        if record.kind == "end":
            return known.pop(record.dialog_id, "")
        if record.dialog_id not in known and record.kind in {"app_start", "event", "unheard"}:
            content = event_body(record) or message_of(record)
            known[record.dialog_id] = str(content.get("application", ""))
        return known.get(record.dialog_id, "")
