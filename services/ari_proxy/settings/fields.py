"""Types of settings: what is taken, and what is said of what is not."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from ari_proxy.protocol import ids

from .urls import plain_url

#: What names an object in Kubernetes (kubernetes.io/docs/concepts/overview/working-with-objects/
#: names).
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_OBJECT_NAME_LENGTH: Final = 253
_LAST_PORT: Final = 65_535


def _server_id(value: str) -> str:
    return ids.server_id(value)


def _application(value: str) -> str:
    if "," in value:  # Asterisk takes `app=a,b` for two applications.
        separate = ", ".join(f'"{name.strip()}"' for name in value.split(",") if name.strip())
        raise ValueError(f"{value!r} is more than one application: write [{separate}]")
    return ids.check_subject_token("application", value)


def _websocket_url(value: str) -> str:
    return plain_url(value, ("ws", "wss"))


def _web_url(value: str) -> str:
    return plain_url(value, ("http", "https"))


def _optional_web_url(value: str) -> str:
    return _web_url(value) if value.strip() else ""


def host_and_port(value: str) -> tuple[str, int]:
    """Return the parts of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        ValueError: with what to write.
    """
    host, _, port = value.strip().rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port) <= _LAST_PORT
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not host or not is_port or (":" in host and not is_bracketed):
        raise ValueError("must be HOST:PORT, like 0.0.0.0:8089 or [::]:8089")
    return host.strip("[]"), int(port)


def _listen_address(value: str) -> str:
    host_and_port(value)
    return value.strip()


def _rule(value: str) -> str:
    method, _, template = value.partition(" ")
    if method not in {"*", "GET", "POST", "PUT", "DELETE"} or not template.startswith("/"):
        raise ValueError(
            "must be a method (GET, POST, PUT, DELETE or *), a space and a path template, "
            "like 'POST /channels/{channelId}/play' or '* /asterisk/**'"
        )
    return value


def is_object_name(value: str) -> bool:
    """Return whether Kubernetes takes it as an object's name."""
    return len(value) <= _OBJECT_NAME_LENGTH and bool(_OBJECT_NAME.fullmatch(value))


def _optional_object_name(value: str) -> str:
    if value and not is_object_name(value):
        raise ValueError(
            "must be a name as Kubernetes' objects have it (RFC 1123): lower-case letters, digits, "
            "- and ., with a letter or digit at both ends"
        )
    return value


ServerId = Annotated[str, AfterValidator(_server_id)]
Application = Annotated[str, AfterValidator(_application)]
WebsocketUrl = Annotated[str, AfterValidator(_websocket_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
OptionalWebUrl = Annotated[str, AfterValidator(_optional_web_url)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
Rule = Annotated[str, AfterValidator(_rule)]
OptionalObjectName = Annotated[str, AfterValidator(_optional_object_name)]
