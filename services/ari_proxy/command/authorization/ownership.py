"""Ownership of dialogs and objects, queried from ingest over the bus.

A dialog's application never changes, so it is cached. The owner of an object changes when its name
is used again, maybe by way of another executor, so it is queried each time.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from ari_proxy.bus.base import Bus
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import OwnershipQuery, OwnershipReply

from .object_refs import ObjectRef

#: Deadline of a query.
ANSWER_SECONDS: Final = 2.0
#: Applications in the cache.
MAX_KEPT: Final = 10_000
_decoder = msgspec.json.Decoder(OwnershipReply)


class Ownership:
    """Queries the ingest of one server."""

    def __init__(self, server: ServerId, bus: Bus, *, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._topic = topics.owners(server)
        self._bus = bus
        self._applications: OrderedDict[DialogId, str] = OrderedDict()

    async def application_of(self, dialog_id: DialogId) -> str:
        """Return the application that serves a dialog, '' if ingest does not know the dialog.

        Raises:
            BusError: ingest did not answer.
            UNDECODABLE: the answer is malformed.
        """
        if dialog_id not in self._applications:
            answer = await self._query(dialog_id, [])
            if not answer.application:
                return ""
            self._keep(dialog_id, answer.application)
        return self._applications[dialog_id]

    async def not_owned(self, dialog_id: DialogId, objects: list[ObjectRef]) -> list[ObjectRef]:
        """Return the objects that do not belong to the dialog.

        Raises:
            BusError: ingest did not answer.
            UNDECODABLE: the answer is malformed.
        """
        token = ids.token_of_dialog(dialog_id)
        unknown = [
            named
            for named in objects
            if ids.token_of_object(named.name.removesuffix(ids.PEER_HALF)) != token
        ]
        if not unknown:
            return []
        answer = await self._query(dialog_id, unknown)
        owned = {ObjectRef(*named) for named in answer.owned}
        return [named for named in unknown if named not in owned]

    async def _query(self, dialog_id: DialogId, objects: list[ObjectRef]) -> OwnershipReply:
        query = OwnershipQuery(dialog_id, [(named.kind, named.name) for named in objects])
        answer = await self._bus.request(
            self._topic, msgspec.json.encode(query), timeout_seconds=ANSWER_SECONDS
        )
        return _decoder.decode(answer)

    def _keep(self, dialog_id: DialogId, application: str) -> None:
        self._applications[dialog_id] = application
        if len(self._applications) > self._max_kept:
            self._applications.popitem(last=False)
