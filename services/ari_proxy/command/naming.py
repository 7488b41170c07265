"""Naming: a command that creates an object gets an id that identifies the dialog. Sans-I/O.

The object's events are then routed without a lookup, whichever comes first, event or answer. An id
that the client has chosen is kept; ingest has to know it before the request is sent.
"""

from typing import NamedTuple

import msgspec

from ari_proxy.ari.operations import CREATIONS
from ari_proxy.ari.urls import AriUrl
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, RandomId
from ari_proxy.protocol.messages import ObjectKind

from .parameters import body_field, parameter, without_field


class NewObject(NamedTuple):
    """An object that a request creates."""

    kind: ObjectKind
    object_id: str
    #: True if the id does not identify the dialog, so that ingest has to be told.
    needs_registration: bool


class NamedRequest(NamedTuple):
    """A request with an id for the object that it creates, if any."""

    url: AriUrl
    body: str
    creates: NewObject | None = None


def name_object(
    method: str, template: str, url: AriUrl, body: str, dialog_id: DialogId, *, random: RandomId
) -> NamedRequest:
    """Return the request with an id for the object that it creates.

    Raises:
        RejectedError: the body is nested too deeply.
    """
    creation = CREATIONS.get(template) if method == "POST" else None
    if creation is None:
        return NamedRequest(url, body)
    name, token = creation.parameter, ids.token_of_dialog(dialog_id)
    chosen = url.segments[-1] if creation.in_path else parameter(name, url, body)
    if chosen:
        is_unknown = ids.token_of_object(chosen) != token
        return NamedRequest(
            url, body, NewObject(creation.kind, chosen, needs_registration=is_unknown)
        )
    if creation.in_path:
        return NamedRequest(url, body)  # Asterisk makes an id, and takes it from nowhere else.
    if body_field(name, body) is not msgspec.UNSET:
        body = without_field(name, body)  # It would override the query's.
    object_id = ids.new_object_id(token, random)
    new = NewObject(creation.kind, object_id, needs_registration=False)
    return NamedRequest(url.with_parameter(name, object_id), body, new)
