"""What Asterisk takes for a parameter that may stand in a request's query and in its body. Pure.

Asterisk reads the query, and a JSON body's fields over it (res_ari.c), whatever type they have: a
null, an empty text or a number leaves nothing of the query's value (seen on Asterisk 22 and 16).
"""

import msgspec

from ari_proxy.ari.urls import AriUrl

from .errors import RejectedError


def decoded(body: str) -> object:
    """Return the content of a JSON body, or None; Asterisk refuses what is no JSON.

    Raises:
        RejectedError: it is nested too deeply for us, though maybe not for Asterisk.
    """
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:  # noqa: TID251  nesting is another matter here
        return None
    except RecursionError as error:
        raise RejectedError(400, "body", "its body is nested too deeply") from error


def body_field(name: str, body: str) -> object:
    """Return a field of a JSON body, or UNSET where there is none.

    Raises:
        RejectedError: the body is nested too deeply.
    """
    # A backslash may stand in the field's name: `\u0061pp` is `app`.
    if f'"{name}"' not in body and "\\" not in body:
        return msgspec.UNSET
    content = decoded(body)
    return content.get(name, msgspec.UNSET) if isinstance(content, dict) else msgspec.UNSET


def parameter(name: str, url: AriUrl, body: str) -> str:
    """Return the text that Asterisk takes for a parameter, or ''.

    Raises:
        RejectedError: the body is nested too deeply.
    """
    value = body_field(name, body)
    if value is msgspec.UNSET:
        return url.parameter(name)
    return value if isinstance(value, str) else ""


def without_field(name: str, body: str) -> str:
    """Return a JSON object without a field that it has; the others stay as they are written."""
    content = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    del content[name]
    return msgspec.json.encode(content).decode()
