"""Naming: a command that creates an object gets an id that tells the object's dialog. Pure.

With it the object's events route without any lookup, whichever comes first, event or answer. An id
that the client chose stays, and has to be registered with ingest before the request is sent.
"""

from typing import NamedTuple

import msgspec

from ari_proxy.ari.operations import CREATIONS, Creation
from ari_proxy.ari.urls import AriUrl
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import RandomId, Token
from ari_proxy.protocol.messages import ObjectKind


class NewObject(NamedTuple):
    """What a request creates."""

    kind: ObjectKind
    object_id: str
    #: True if the client chose the id, so that ingest can't know it.
    needs_registration: bool


class Named(NamedTuple):
    """A request whose new object, if it makes one, has a name."""

    url: AriUrl
    creates: NewObject | None = None


def name_object(
    method: str, template: str, url: AriUrl, body: str, token: Token, *, random: RandomId
) -> Named:
    """Return the request with the name of the object that it creates."""
    creation = CREATIONS.get(template) if method == "POST" else None
    if creation is None:
        return Named(url=url)
    chosen = _chosen_id(creation, url, body)
    if creation.in_path and not chosen:
        return Named(url=url)  # Asterisk makes an id, and takes none from elsewhere.
    if chosen:
        is_unknown = ids.token_of_object(chosen) != token
        return Named(url, NewObject(creation.kind, chosen, needs_registration=is_unknown))
    object_id = ids.new_object_id(token, random)
    new = NewObject(creation.kind, object_id, needs_registration=False)
    return Named(url.with_parameter(creation.parameter, object_id), new)


def _chosen_id(creation: Creation, url: AriUrl, body: str) -> str:
    if creation.in_path:
        return url.segments[-1]
    # Asterisk reads the query first, then the body's fields over it (res_ari.c).
    return body_field(body, creation.parameter) or url.parameter(creation.parameter)


def body_field(body: str, name: str) -> str:
    """Return a string field of a JSON body, or '' where there is none; never raises."""
    if f'"{name}"' not in body:
        return ""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""  # Legacy clients don't escape; Asterisk will say what it thinks of it.
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, str) else ""
