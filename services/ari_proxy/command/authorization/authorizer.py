"""What a command may do: the policy of its application, and whether it stays with its own objects.

All of it is off by default but the list of denials; then no command costs more than two matches.
"""

from ari_proxy.ari.urls import AriUrl
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.command.errors import RejectedError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import ObjectRegistration
from ari_proxy.settings.command import CommandSettings

from .object_refs import (
    LIST_OF_STORED,
    ObjectRef,
    concerns_all,
    concerns_stored,
    object_refs,
    other_spellings,
    sounds_elsewhere,
)
from .ownership import Ownership
from .policy import CommandPolicy


class Authorizer:
    """Decides on the commands of one server."""

    def __init__(self, server: ServerId, bus: Bus, settings: CommandSettings) -> None:
        self._settings = settings
        self._policy = CommandPolicy(settings.allow, settings.deny)
        self._policies = {
            name: CommandPolicy(policy.allow, policy.deny)
            for name, policy in settings.applications.items()
        }
        self._ownership = Ownership(server, bus)

    @property
    def registers_recordings(self) -> bool:
        """Whether ingest has to know which dialog makes a recording."""
        settings = self._settings
        return settings.scope == "dialog" or settings.stored_recordings == "own"

    async def check(
        self, method: str, template: str, url: AriUrl, body: str, dialog_id: DialogId | None
    ) -> None:
        """Return if a command may be executed.

        Args:
            method: in upper case.
            template: of its path.
            url: its own.
            body: its own.
            dialog_id: whose it is; None for one of the server.

        Raises:
            RejectedError: it may not, or ingest could not be asked.
        """
        try:
            policy = await self._policy_of(dialog_id)
            if not policy.permits(method, url.path):
                message = f"the proxy's policy forbids {method} {url.path}"
                raise RejectedError(403, "policy", message)
            await self._check_objects(method, template, url, body, dialog_id)
        except (BusError, *UNDECODABLE) as error:
            message = f"ingest could not be asked what the dialog may do: {error}"
            raise RejectedError(503, "policy", message) from error

    async def check_new(self, registration: ObjectRegistration) -> None:
        """Return if a dialog may create an object that is registered already.

        Asterisk 16 answers 200 to a bridge that exists already, so its answer proves nothing.

        Raises:
            RejectedError: another dialog has one of that name, or ingest could not be asked.
        """
        new = ObjectRef(registration.kind, registration.object_id)
        if not any(self._is_limited(new, is_stored=stored) for stored in (False, True)):
            return
        try:
            others = await self._ownership.not_owned(DialogId(registration.dialog_id), [new])
        except (BusError, *UNDECODABLE) as error:
            message = f"ingest could not be asked whose {new.kind} {new.name!r} is: {error}"
            raise RejectedError(503, "policy", message) from error
        if others:
            message = f"another dialog has the {new.kind} {new.name!r}: choose another name"
            raise RejectedError(409, "scope", message)

    async def _policy_of(self, dialog_id: DialogId | None) -> CommandPolicy:
        if not self._policies or dialog_id is None:
            return self._policy
        application = await self._ownership.application_of(dialog_id)
        return self._policies.get(application, self._policy)

    async def _check_objects(
        self, method: str, template: str, url: AriUrl, body: str, dialog_id: DialogId | None
    ) -> None:
        if self._concerns_others(method, template):
            message = f"{method} {template} concerns objects of other dialogs"
            raise RejectedError(403, "scope", message)
        if self._is_wide:
            return
        files = other_spellings(method, template, url, body)
        if self._settings.stored_recordings != "all":
            files += sounds_elsewhere(template, url, body)
        if files:
            named = ", ".join(map(repr, files))
            message = f"{named} may be the file of another recording: it must be named as it is"
            raise RejectedError(403, "scope", message)
        others = await self._others(template, object_refs(method, template, url, body), dialog_id)
        if others:
            named = ", ".join(f"{kind} {name!r}" for kind, name in others)
            raise RejectedError(403, "scope", f"not this dialog's: {named}")

    @property
    def _is_wide(self) -> bool:
        return self._settings.scope == "server" and self._settings.stored_recordings == "all"

    def _concerns_others(self, method: str, template: str) -> bool:
        if self._settings.scope == "dialog":
            return concerns_all(method, template)
        return template == LIST_OF_STORED and self._settings.stored_recordings != "all"

    async def _others(
        self, template: str, objects: list[ObjectRef], dialog_id: DialogId | None
    ) -> list[ObjectRef]:
        """Return the objects that the dialog must not touch."""
        is_stored = concerns_stored(template)
        limited = [named for named in objects if self._is_limited(named, is_stored=is_stored)]
        forbidden = self._forbidden(limited) if is_stored else []
        if forbidden or dialog_id is None or not limited:
            return forbidden or limited
        return await self._ownership.not_owned(dialog_id, limited)

    def _forbidden(self, limited: list[ObjectRef]) -> list[ObjectRef]:
        """Return the stored recordings, if none may be touched, not even one's own."""
        is_none = self._settings.stored_recordings == "none"
        return [named for named in limited if is_none and named.kind == "recording"]

    def _is_limited(self, named: ObjectRef, *, is_stored: bool) -> bool:
        """Return whether an object has to be the dialog's own, or not even that suffices."""
        if named.kind == "recording" and is_stored:
            return self._settings.stored_recordings != "all"
        return self._settings.scope == "dialog"
