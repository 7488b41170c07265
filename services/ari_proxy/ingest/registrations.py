"""Registration of objects that clients have named, and queries about their owners."""

import time

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Message
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import (
    ObjectRegistration,
    OwnershipQuery,
    OwnershipReply,
    RegistrationReply,
)

from .routing.dialog_table import DialogTable

_log = structlog.get_logger()
_binding_decoder = msgspec.json.Decoder(ObjectRegistration)
_question_decoder = msgspec.json.Decoder(OwnershipQuery)


class ObjectRegistrations:
    """Answers the executors of one server."""

    def __init__(self, bus: Bus, dialogs: DialogTable) -> None:
        self._bus = bus
        self._dialogs = dialogs

    def on_binding(self, message: Message) -> None:
        """Register an object that a client has named, or release it, and acknowledge that."""
        try:
            binding = _binding_decoder.decode(message.payload)
            is_new = self._dialogs.register(binding, time.monotonic())
            answer = RegistrationReply(is_new=is_new)
        except (*UNDECODABLE, IllegalSubjectTokenError) as error:
            _log.warning("binding.refused", error=str(error))
            answer = RegistrationReply(str(error))
        if message.reply:
            self._bus.publish(message.reply, msgspec.json.encode(answer))

    def on_question(self, message: Message) -> None:
        """Answer which of some objects belong to a dialog."""
        try:
            question = _question_decoder.decode(message.payload)
        except UNDECODABLE as error:
            _log.warning("question.malformed", error=str(error))
            return
        dialog_id, owns = question.dialog_id, self._dialogs.objects.owns
        dialog = self._dialogs.dialogs.get(dialog_id)
        owned = tuple(named for named in question.objects if owns(dialog_id, *named))
        answer = OwnershipReply(dialog.application if dialog is not None else "", owned)
        if message.reply:
            self._bus.publish(message.reply, msgspec.json.encode(answer))
