"""Naming: a command that creates an object gets an id that tells the object's dialog. Pure.

With it the object's events route without any lookup, whichever comes first, event or answer. An id
that the client chose stays, and has to be registered with ingest before the request is sent.
"""

from typing import NamedTuple

import msgspec

from ari_proxy.ari.operations import CREATIONS
from ari_proxy.ari.urls import AriUrl
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import RandomId, Token
from ari_proxy.protocol.messages import ObjectKind

from .parameters import body_field, parameter, without_field


class NewObject(NamedTuple):
    """What a request creates."""

    kind: ObjectKind
    object_id: str
    #: True if the client chose the id, so that ingest can't know it.
    needs_registration: bool


class NamedRequest(NamedTuple):
    """A request whose new object, if it makes one, has a name."""

    url: AriUrl
    body: str
    creates: NewObject | None = None


def name_object(
    method: str, template: str, url: AriUrl, body: str, token: Token, *, random: RandomId
) -> NamedRequest:
    """Return the request with the name of the object that it creates.

    Raises:
        RejectedError: its body can't be read.
    """
    creation = CREATIONS.get(template) if method == "POST" else None
    if creation is None:
        return NamedRequest(url, body)
    name = creation.parameter
    chosen = url.segments[-1] if creation.in_path else parameter(name, url, body)
    if chosen:
        is_unknown = ids.token_of_object(chosen) != token
        return NamedRequest(
            url, body, NewObject(creation.kind, chosen, needs_registration=is_unknown)
        )
    if creation.in_path:
        return NamedRequest(url, body)  # Asterisk makes an id, and takes none from elsewhere.
    if body_field(name, body) is not msgspec.UNSET:
        body = without_field(name, body)  # Asterisk would take it instead of the query's.
    object_id = ids.new_object_id(token, random)
    new = NewObject(creation.kind, object_id, needs_registration=False)
    return NamedRequest(url.with_parameter(name, object_id), body, new)
