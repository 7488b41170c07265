"""Refuses commands that would crash Asterisk (ari/fatal_parameters.py). Sans-I/O."""

import msgspec

from ari_proxy.ari.fatal_parameters import LISTS, REQUIRED
from ari_proxy.ari.urls import AriUrl

from .errors import RejectedError
from .parameters import body_field


def refuse_fatal(method: str, template: str, url: AriUrl, body: str) -> None:
    """Return if Asterisk survives a command.

    Args:
        method: in upper case.
        template: the template of the URL's path.
        url: the command's URL.
        body: the command's body.

    Raises:
        RejectedError: Asterisk would crash, or the body is nested too deeply.
    """
    required = REQUIRED.get((method, template), "")
    if required and not _is_there(required, url, body):
        raise _refusal(method, template, f"the parameter {required!r} is missing or no text")
    listed = LISTS.get((method, template), "")
    if listed and not _is_readable(body_field(listed, body)):
        raise _refusal(method, template, f"{listed!r} is neither a text nor a list of texts")


def _is_there(name: str, url: AriUrl, body: str) -> bool:
    value = body_field(name, body)
    return bool(url.values(name)) if value is msgspec.UNSET else isinstance(value, str)


def _is_readable(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(element, str) for element in value)
    return value is msgspec.UNSET or isinstance(value, str)


def _refusal(method: str, template: str, problem: str) -> RejectedError:
    message = f"{method} {template} would crash Asterisk: {problem}"
    return RejectedError(400, "parameter", message)
