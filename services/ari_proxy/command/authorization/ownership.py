"""Whose an object is, and whose a dialog: what only ingest knows, asked over the bus.

A dialog's application stays the same, so it is kept. Whose an object is changes when a name is used
again, and another executor may have seen it, so that is asked each time.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from ari_proxy.bus.base import Bus
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import OwnershipQuery, OwnershipReply

from .object_refs import ObjectRef

#: For ingest to answer.
ANSWER_SECONDS: Final = 2.0
#: Applications that are kept.
MAX_KEPT: Final = 10_000
_decoder = msgspec.json.Decoder(OwnershipReply)


class Ownership:
    """Asks the ingest of one server."""

    def __init__(self, server: ServerId, bus: Bus, *, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._topic = topics.owners(server)
        self._bus = bus
        self._applications: OrderedDict[DialogId, str] = OrderedDict()

    async def application_of(self, dialog_id: DialogId) -> str:
        """Return the application that serves a dialog, '' if ingest does not know the dialog.

        Raises:
            BusError: ingest did not answer.
        """
        if dialog_id not in self._applications:
            answer = await self._ask(dialog_id, [])
            if not answer.application:
                return ""
            self._keep(dialog_id, answer.application)
        return self._applications[dialog_id]

    async def not_owned(self, dialog_id: DialogId, objects: list[ObjectRef]) -> list[ObjectRef]:
        """Return those of the objects that are not the dialog's.

        Raises:
            BusError: ingest did not answer.
        """
        token = ids.token_of_dialog(dialog_id)
        unknown = [
            named
            for named in objects
            if ids.token_of_object(named.name.removesuffix(ids.PEER_HALF)) != token
        ]
        if not unknown:
            return []
        answer = await self._ask(dialog_id, unknown)
        owned = {ObjectRef(*named) for named in answer.owned}
        return [named for named in unknown if named not in owned]

    async def _ask(self, dialog_id: DialogId, objects: list[ObjectRef]) -> OwnershipReply:
        question = OwnershipQuery(dialog_id, [(named.kind, named.name) for named in objects])
        answer = await self._bus.request(
            self._topic, msgspec.json.encode(question), timeout_seconds=ANSWER_SECONDS
        )
        return _decoder.decode(answer)

    def _keep(self, dialog_id: DialogId, application: str) -> None:
        self._applications[dialog_id] = application
        if len(self._applications) > self._max_kept:
            self._applications.popitem(last=False)
