"""Parameters in a request's query and in its body, as Asterisk reads them. Sans-I/O.

Asterisk reads the query first; the fields of a JSON body override it (res_ari.c), whatever their
type: a null, an empty text or a number discards the query's value (seen on Asterisk 22 and 16).
"""

import msgspec

from ari_proxy.ari.urls import AriUrl

from .errors import RejectedError


def decoded(body: str) -> object:
    """Return the content of a JSON body; None for an empty or malformed one.

    Raises:
        RejectedError: the body is nested too deeply for the decoder, if maybe not for Asterisk.
    """
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:  # noqa: TID251  deep nesting is handled below
        return None
    except RecursionError as error:
        raise RejectedError(400, "body", "the body is nested too deeply") from error


def body_field(name: str, body: str) -> object:
    """Return a field of a JSON body, or UNSET.

    Raises:
        RejectedError: the body is nested too deeply.
    """
    # A field's name may be escaped: `\u0061pp` is `app`.
    if f'"{name}"' not in body and "\\" not in body:
        return msgspec.UNSET
    content = decoded(body)
    return content.get(name, msgspec.UNSET) if isinstance(content, dict) else msgspec.UNSET


def parameter(name: str, url: AriUrl, body: str) -> str:
    """Return the value that Asterisk takes for a parameter, or ''.

    Raises:
        RejectedError: the body is nested too deeply.
    """
    value = body_field(name, body)
    if value is msgspec.UNSET:
        return url.parameter(name)
    return value if isinstance(value, str) else ""


def without_field(name: str, body: str) -> str:
    """Return a JSON object without one of its fields; the others stay as they are written."""
    content = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    del content[name]
    return msgspec.json.encode(content).decode()
