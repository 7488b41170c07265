"""Authorization of commands: the policy of the application, and the scope of the dialog.

By default only the list of denials is in force; then a command costs two matches at most.
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
    """Authorizes the commands of one server."""

    def __init__(self, server: ServerId, bus: Bus, settings: CommandSettings) -> None:
        self._settings = settings
        self._policy = CommandPolicy(settings.allow, settings.deny)
        self._policies = {
            name: CommandPolicy(policy.allow, policy.deny)
            for name, policy in settings.applications.items()
        }
        self._ownership = Ownership(server, bus)
        #: Whether clients may use all objects.
        self._is_wide = settings.scope == "server" and settings.stored_recordings == "all"

    @property
    def registers_recordings(self) -> bool:
        """True if ingest must know the dialog of each recording."""
        settings = self._settings
        return settings.scope == "dialog" or settings.stored_recordings == "own"

    async def check(
        self, method: str, template: str, url: AriUrl, body: str, dialog_id: DialogId | None
    ) -> None:
        """Return if a command may be executed.

        Args:
            method: in upper case.
            template: the template of the URL's path.
            url: the command's URL.
            body: the command's body.
            dialog_id: the dialog of the command; None for a command of the server.

        Raises:
            RejectedError: the command is forbidden, or ingest did not answer a query.
        """
        try:
            policy = self._policy
            if self._policies and dialog_id is not None:
                policy = await self._policy_of(dialog_id)
            if not policy.permits(method, url.path):
                message = f"the proxy's policy forbids {method} {url.path}"
                raise RejectedError(403, "policy", message)
            if not self._is_wide:
                await self._check_objects(method, template, url, body, dialog_id)
        except (BusError, *UNDECODABLE) as error:
            message = f"ingest did not say what belongs to the dialog: {error}"
            raise RejectedError(503, "policy", message) from error

    async def check_new(self, registration: ObjectRegistration) -> None:
        """Return if a dialog may create an object that is registered already.

        Asterisk 16 answers 200 to a bridge that exists already, so its answer proves nothing.

        Raises:
            RejectedError: another dialog has an object of that name, or ingest did not answer.
        """
        new = ObjectRef(registration.kind, registration.object_id)
        if not any(self._is_limited(new, is_stored=stored) for stored in (False, True)):
            return
        try:
            others = await self._ownership.not_owned(DialogId(registration.dialog_id), [new])
        except (BusError, *UNDECODABLE) as error:
            message = f"ingest did not say who owns {new.kind} {new.name!r}: {error}"
            raise RejectedError(503, "policy", message) from error
        if others:
            message = f"{new.kind} {new.name!r} belongs to another dialog: choose another name"
            raise RejectedError(409, "scope", message)

    async def _policy_of(self, dialog_id: DialogId) -> CommandPolicy:
        application = await self._ownership.application_of(dialog_id)
        return self._policies.get(application, self._policy)

    async def _check_objects(
        self, method: str, template: str, url: AriUrl, body: str, dialog_id: DialogId | None
    ) -> None:
        if self._concerns_others(method, template):
            message = f"{method} {template} is not limited to the dialog's own objects"
            raise RejectedError(403, "scope", message)
        files = other_spellings(method, template, url, body)
        if self._settings.stored_recordings != "all":
            files += sounds_elsewhere(template, url, body)
        if files:
            named = ", ".join(map(repr, files))
            message = f"{named} may refer to another recording's file: use the plain name"
            raise RejectedError(403, "scope", message)
        others = await self._others(template, object_refs(method, template, url, body), dialog_id)
        if others:
            named = ", ".join(f"{kind} {name!r}" for kind, name in others)
            raise RejectedError(403, "scope", f"{named}: not owned by this dialog")

    def _concerns_others(self, method: str, template: str) -> bool:
        if self._settings.scope == "dialog":
            return concerns_all(method, template)
        return template == LIST_OF_STORED and self._settings.stored_recordings != "all"

    async def _others(
        self, template: str, objects: list[ObjectRef], dialog_id: DialogId | None
    ) -> list[ObjectRef]:
        """Return the objects that the dialog must not use."""
        is_stored = concerns_stored(template)
        limited = [named for named in objects if self._is_limited(named, is_stored=is_stored)]
        forbidden = self._forbidden(limited) if is_stored else []
        if forbidden or dialog_id is None or not limited:
            return forbidden or limited
        return await self._ownership.not_owned(dialog_id, limited)

    def _forbidden(self, limited: list[ObjectRef]) -> list[ObjectRef]:
        """Return the stored recordings, if the dialog may use none, not even its own."""
        is_none = self._settings.stored_recordings == "none"
        return [named for named in limited if is_none and named.kind == "recording"]

    def _is_limited(self, named: ObjectRef, *, is_stored: bool) -> bool:
        """Return whether the use of an object is limited, to the dialog's own or altogether."""
        if named.kind == "recording" and is_stored:
            return self._settings.stored_recordings != "all"
        return self._settings.scope == "dialog"
