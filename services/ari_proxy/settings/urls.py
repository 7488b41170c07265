"""URLs of the settings: read in one place, whichever source they come from.

No error here quotes a URL: where one can't be read, nobody knows which part of it is the password.
For the same reason none is raised while another one, of the standard library, is being handled.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

#: By bus: how its URLs begin.
BUS_SCHEMES: Final = {
    "NATS": ("nats", "tls", "ws", "wss"),
    "RABBITMQ": ("amqp", "amqps"),
}
_WEBSOCKETS: Final = frozenset({"ws", "wss"})
#: What ends a URL's account too early, or is taken for something else (RFC 3986 §3.2.1).
_ENCODE: Final = (
    "in a user or password write % as %25, # as %23, / as %2F, ? as %3F, @ as %40, [ as %5B, "
    "] as %5D, a comma as %2C and a blank as %20"
)
#: Where the settings have what other clients read from a URL's query.
_INSTEAD_OF_QUERY: Final = (
    "TLS is asked for by tls:// or amqps://, the rest by settings like bus.ca_file, "
    "bus.certificate_file, bus.server_name and bus.heartbeat_seconds"
)
#: NATS's servers have no parts, except behind a proxy for websockets.
_WITHOUT_PATH: Final = frozenset({"nats", "tls"})
_SEPARATOR: Final = re.compile(r"[,\r\n]")


class UrlError(ValueError):
    """A URL can't be used; the message continues the name of the setting, without the URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusAddress:
    """Where a bus is and, apart from that, an account there."""

    urls: tuple[str, ...]
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: NATS's, where a URL has no password.
    token: str = field(default="", repr=False)

    def settings(self) -> dict[str, object]:
        """Return the non-empty parts by the names of their settings."""
        return {name: part for name, part in asdict(self).items() if part}


def bus_address(text: str) -> BusAddress:
    """Return the URLs of a list and, apart from them, their account.

    Args:
        text: URLs between commas or line ends. Empty ones are left out, and one for NATS needs no
            scheme: so NATS's own clients read them (nats.go: processUrlString, parseServerURL).

    Raises:
        UrlError: one of them can't be read, or they have different accounts.
    """
    found = [_apart(url, is_first=not place) for place, url in enumerate(_listed(text))]
    accounts = {(item.user, item.password, item.token) for item in found} - {("", "", "")}
    if len(accounts) > 1:
        raise UrlError("must name one account, which holds for all servers")
    user, password, token = accounts.pop() if accounts else ("", "", "")
    urls = tuple(item.urls[0] for item in found)
    return BusAddress(urls=urls, user=user, password=password, token=token)


def bus_urls(kind: str, urls: Iterable[str]) -> tuple[str, ...]:
    """Return the URLs of a bus's servers in one form: scheme in lower case, no slash at the end.

    Raises:
        UrlError: one of them is no URL of this kind of bus, or has an account, or there is none.
    """
    read = tuple(_bus_url(kind, url) for item in urls for url in _listed(item))
    if not read:
        raise UrlError("names no server")
    are_websockets = {url.partition(":")[0] in _WEBSOCKETS for url in read}
    if len(are_websockets) > 1:
        raise UrlError("must use websockets on all servers or on none: ws:// and wss://, or others")
    return read


def plain_url(url: str, schemes: tuple[str, ...]) -> str:
    """Return the URL of something that has its credentials elsewhere, in one form.

    Raises:
        UrlError: it is none, or has more than scheme, host, port and path.
    """
    url = url.strip()
    parts = _read(url)
    if parts is not None and (parts.scheme not in schemes or not parts.hostname):
        raise UrlError(f"must be a URL with a host that begins with one of {_shown(schemes)}")
    if "@" in url:
        raise UrlError("must not hold credentials: they have settings of their own")
    if "?" in url or "#" in url:
        raise UrlError("must not have a query or a fragment: write it up to the ? or #")
    if parts is None:
        raise UrlError(f"{_unreadable(url)}; write it like {schemes[0]}://host:port/path")
    return _composed(parts)


def _listed(text: str) -> list[str]:
    return [url for item in _SEPARATOR.split(text) if (url := item.strip())]


def _apart(url: str, *, is_first: bool) -> BusAddress:
    """Return one URL and its account."""
    has_scheme = "://" in url
    parts = _read(url if has_scheme else f"//{url}")
    if parts is None:
        raise UrlError(f"{_unreadable(url)}; {_ENCODE}")
    account, _, _ = parts.netloc.rpartition("@")
    behind = parts.path + parts.query + parts.fragment
    # What follows a comma of a password, if only an @, looks like an account without a scheme.
    is_torn = "@" in parts.netloc and not has_scheme and not is_first
    if "@" in behind or "#" in url or is_torn or "[" in account or "]" in account:
        raise UrlError(f"can't be taken apart; {_ENCODE}")
    if not parts.hostname:
        raise UrlError("has no host")
    credentials = _credentials(account, parts.scheme)
    _check_rest(url, parts)
    composed = _composed(parts).removeprefix("//")
    return BusAddress(urls=(composed,), **credentials)


def _check_rest(url: str, parts: SplitResult) -> None:
    """Refuse what would ask for something and change nothing."""
    if "?" in url:  # seed: it was dropped.
        raise UrlError(f"must not have a query: write it up to the ?; {_INSTEAD_OF_QUERY}")
    if parts.scheme in _WITHOUT_PATH and parts.path.strip("/"):
        reason = "must not have a path, which means nothing to NATS: write it up to the port"
        raise UrlError(f"{reason}; {_ENCODE}")


def _credentials(account: str, scheme: str) -> dict[str, str]:
    user, colon, password = (_decoded(part) for part in account.partition(":"))
    if user is None or password is None:
        raise UrlError(f"has an account that is no UTF-8; {_ENCODE}")
    if colon or scheme in BUS_SCHEMES["RABBITMQ"]:
        return {"user": user, "password": password}
    return {"token": user}


def _decoded(part: str) -> str | None:
    """Decode percent-encoding; None if the result is not UTF-8."""
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        return None


def _bus_url(kind: str, url: str) -> str:
    schemes = BUS_SCHEMES[kind]
    if kind == "NATS" and "://" not in url:
        url = f"{schemes[0]}://{url}"
    parts = _read(url)
    if parts is not None and parts.scheme not in schemes:
        raise UrlError(f"must begin with one of {_shown(schemes)}, since the bus is {kind}")
    if "@" in url:
        raise UrlError("must not hold credentials: they have settings of their own")
    return bus_address(url).urls[0]


def _read(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None if it has none; its port is one or left out."""
    if not url.isprintable() or " " in url:  # The standard library would drop some of them.
        return None
    try:
        parts = urlsplit(url)
        is_port = parts.port != 0
    except ValueError:  # It quotes the URL.
        return None
    return parts if is_port else None


def _unreadable(url: str) -> str:
    if not url.isprintable() or " " in url:
        return "has white space or control characters"
    return (
        "has a port that is no number from 1 to 65535, or characters that no URL has "
        "(an IPv6 address stands in brackets)"
    )


def _composed(parts: SplitResult) -> str:
    """Return the URL without what is not scheme, host, port and path."""
    host = parts.netloc.rpartition("@")[2].removesuffix(":")
    # RabbitMQ's virtual host may end in a slash.
    is_virtual_host = parts.scheme in BUS_SCHEMES["RABBITMQ"] and parts.path != "/"
    path = parts.path if is_virtual_host else parts.path.rstrip("/")
    return f"{parts.scheme}://{host}{path}".removeprefix(":")


def _shown(schemes: tuple[str, ...]) -> str:
    return ", ".join(f"{name}://" for name in schemes)
