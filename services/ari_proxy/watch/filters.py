"""Which copies `tail` shows. Pure."""

from collections.abc import Collection, Mapping

from ari_proxy.tap.copies import Copy

from .descriptions import event_body, message_of


class Filter:
    """Picks copies by application, dialog and type; what is not given lets all pass."""

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
        #: Each dialog's application, as far as is known; as many as are open at once.
        self._application_of: dict[str, str] = {}

    def learn(self, dialogs: Mapping[str, str]) -> None:
        """Take over what an ingest knows of its dialogs and their applications."""
        self._application_of.update(dialogs)

    def passes(self, copy: Copy) -> bool:
        """Return whether a copy is to be shown."""
        if copy.kind == "skipped":
            return True
        application = self._application(copy)
        if self._applications and application not in self._applications:
            return False
        if self._dialogs and copy.dialog_id not in self._dialogs:
            return False
        return not self._types or bool(self._types & {copy.kind, message_of(copy).get("type")})

    def _application(self, copy: Copy) -> str:
        if not self._applications:
            return ""
        known = self._application_of
        if copy.kind == "end":
            return known.pop(copy.dialog_id, "")
        if copy.dialog_id not in known and copy.kind in {"app_start", "event", "unheard"}:
            told = event_body(copy) or message_of(copy)
            known[copy.dialog_id] = str(told.get("application", ""))
        return known.get(copy.dialog_id, "")
