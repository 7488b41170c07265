"""REST over a websocket: the frames of requests and answers. Sans-I/O.

Asterisk 22.4, 20.14 and newer answer a RESTRequest on any websocket of ARI (ari_websocket_requests
in its documentation): one after another, in order. Measured on 22.10: `uri` is percent-decoded as a
request line is and may have a query; a body needs its content type; a frame above 65,535 bytes ends
the connection; answers may be larger; files and other websockets can't be had.
"""

from typing import Final

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from . import operations
from .client import Answer

#: The largest frame that Asterisk takes (res_http_websocket.c: MAXIMUM_FRAME_SIZE).
MAX_REQUEST_BYTES: Final = 65_535
#: What Asterisk refuses on a websocket, by the template of a GET.
_OBSTACLES: Final = {
    "/events": "a websocket can't be opened on another one",
    "/recordings/stored/{recordingName}/file": "a file can't travel on a websocket",
}
_NO_ROOT: Final = "the root of ARI can't be named on a websocket"
TOO_LARGE: Final = f"it takes more than the {MAX_REQUEST_BYTES} bytes of a frame"
#: Whose answers grow with what an Asterisk has, or are no JSON: one of megabytes would hold up all
#: that comes behind it on the websocket.
_BY_HTTP: Final = frozenset(
    {
        "/applications",
        "/asterisk/logging",
        "/asterisk/modules",
        "/bridges",
        "/channels",
        "/deviceStates",
        "/endpoints",
        "/endpoints/{tech}",
        "/mailboxes",
        "/recordings/stored",
        "/sounds",
        operations.OTHER,
        *_OBSTACLES,
    }
)


#: How the frame of an answer begins, as Asterisk writes it.
ANSWER_BEGINNING: Final = b'{"type":"RESTResponse"'


class _RequestFrame(msgspec.Struct, tag_field="type", tag="RESTRequest", omit_defaults=True):
    request_id: str
    method: str
    uri: str
    content_type: str = ""
    message_body: str = ""


class _ResponseFrame(msgspec.Struct, tag_field="type", tag="RESTResponse"):
    request_id: str
    status_code: int
    message_body: str = ""


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(_ResponseFrame)


def obstacle(method: str, url: str) -> str:
    """Return why a request can't travel on a websocket at all, or ''.

    Args:
        method: in upper case.
        url: relative to ARI's root, with its first slash.
    """
    path = url.partition("?")[0]
    if path == "/":
        return _NO_ROOT  # Asterisk takes no empty `uri`.
    return _OBSTACLES.get(operations.template_of(path), "") if method == "GET" else ""


def belongs(method: str, url: str) -> bool:
    """Return whether a request may travel on a websocket while HTTP is there for the others.

    Args:
        method: in upper case.
        url: relative to ARI's root, with its first slash.
    """
    path = url.partition("?")[0]
    if path == "/":
        return False  # Asterisk takes no empty `uri`.
    return method != "GET" or operations.template_of(path) not in _BY_HTTP


def encode(request_id: str, method: str, url: str, body: str) -> bytes:
    """Return the frame of a request; `url` begins with its slash, `body` is JSON or ''."""
    content_type = "application/json" if body else ""
    return _encoder.encode(_RequestFrame(request_id, method, url[1:], content_type, body))


def decode(frame: bytes) -> tuple[str, Answer] | None:
    """Return the id of a request and its answer, or None for a frame that is no answer."""
    try:
        response = _decoder.decode(frame)
    except UNDECODABLE:
        return None
    return response.request_id, Answer(response.status_code, response.message_body)
