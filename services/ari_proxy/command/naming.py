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


class Named(NamedTuple):
    """A request whose new object, if it makes one, has a name."""

    url: AriUrl
    #: channel, bridge or playback; '' if nothing is created.
    kind: str = ""
    object_id: str = ""
    #: True if the client chose the id, so that ingest can't know it.
    needs_registration: bool = False


def name_object(
    method: str, template: str, url: AriUrl, body: str, token: Token, *, random: RandomId
) -> Named:
    """Return the request with the name of the object that it creates."""
    creation = CREATIONS.get(template) if method == "POST" else None
    if creation is None:
        return Named(url=url)
    chosen = _chosen_id(creation, url, body)
    if chosen:
        known = ids.token_of_object(chosen) == token
        return Named(url=url, kind=creation.kind, object_id=chosen, needs_registration=not known)
    object_id = ids.new_object_id(token, random)
    return Named(
        url=url.with_parameter(creation.parameter, object_id),
        kind=creation.kind,
        object_id=object_id,
    )


def _chosen_id(creation: Creation, url: AriUrl, body: str) -> str:
    if creation.in_path:
        return url.last_segment
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
