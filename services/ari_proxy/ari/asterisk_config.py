"""Asterisk's configuration files for ari-proxy: what fits its settings and Asterisk's version.

Sans-I/O. The options are those of http.conf, ari.conf and websocket_client.conf (docs.asterisk.org,
"Configuration"). An option that a version does not know makes Asterisk drop its whole section, so
that each is written only for versions that have it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from . import versions
from .errors import UnconfigurableError
from .snapshot import DIALOG_VARIABLE
from .versions import Version
from .websocket_names import command_application, commands_path, events_path

#: The websocket for events; its sections have this name.
EVENTS: Final = "ari-proxy-events"
#: The file with Asterisk's password, beside the files that include it: it may have other rights
#: than they, and they can be shown and kept in a repository.
PASSWORD_FILE: Final = "ari-proxy-password.conf"  # noqa: S105  a file's name
#: Milliseconds. Asterisk dials again after this time, also when a standby has refused it; until
#: then events wait.
RECONNECT_INTERVAL: Final = 250
#: The same of a spare websocket, which is refused most of the time.
SPARE_RECONNECT_INTERVAL: Final = 5000
#: Milliseconds; Asterisk's 500 are short for TLS over a long way.
CONNECTION_TIMEOUT: Final = 1000
#: Asterisk logs one in so many failed attempts: a line each ten seconds.
LOGGED_ATTEMPTS: Final = 40
#: Asterisk finds a dead peer within 10 to 15 seconds.
PING_SECONDS: Final = 5
PINGS: Final = 2
#: http.conf's default.
SESSION_LIMIT: Final = 100
#: Times the connections of ari-proxy.
_SPARE: Final = 1.25
_CERTIFICATES: Final = "/etc/asterisk/keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServer:
    """Asterisk's HTTP server, with which ari-proxy opens connections."""

    #: Its root of ARI, as ari-proxy reaches it.
    url: str
    #: Addresses or networks from which ari-proxy comes; empty if they are not known.
    clients: tuple[str, ...] = ()
    #: Connections that ari-proxy may have at once.
    connections: int = SESSION_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerAddress:
    """Where Asterisk reaches ari-proxy, for websockets that Asterisk opens."""

    #: `ws://host:port` or `wss://host:port`, without a path.
    events_url: str
    commands_url: str
    #: Number of websockets for commands that executors take at once.
    websockets: int
    #: Number of further ones: one that is replaced has to find a websocket that is not taken.
    spare: int = 0
    #: Whether it wants a certificate of Asterisk.
    wants_certificate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskConfig:
    """What Asterisk's configuration has to say."""

    version: Version
    server_id: str
    applications: tuple[str, ...]
    user: str
    #: None: it stands in `PASSWORD_FILE`.
    password: str | None = None
    subscribe_all: bool = False
    #: The Origin that ari-proxy sends, or ''.
    origin: str = ""
    #: None: Asterisk needs no HTTP server.
    http: HttpServer | None = None
    #: None: ari-proxy opens the websockets.
    listener: ListenerAddress | None = None


def files(config: AsteriskConfig) -> Mapping[str, str]:
    """Return the files by name.

    Raises:
        UnconfigurableError: this version, or any, can't be configured so.
    """
    listener = config.listener
    if listener and not versions.has(config.version, versions.OUTBOUND_WEBSOCKETS):
        raise UnconfigurableError(
            f"Asterisk {_dotted(config.version)} opens no websockets to ari-proxy; those from "
            f"{versions.words(versions.OUTBOUND_WEBSOCKETS)} on do: upgrade it, or set "
            "ari.connection to inbound"
        )
    found = {"http.conf": _http_conf(config), "ari.conf": _ari_conf(config)}
    if listener:
        found["websocket_client.conf"] = _websocket_client_conf(config, listener)
    return found


def as_text(found: Mapping[str, str]) -> str:
    """Return files one after another, with their names."""
    return "\n".join(f"; ---- {name} ----\n{text}" for name, text in found.items())


def password_line(password: str) -> str:
    """Return the line of `PASSWORD_FILE`.

    Raises:
        UnconfigurableError: Asterisk's configuration can't hold this password.
    """
    return f"password = {_value('the password', password)}"


def _http_conf(config: AsteriskConfig) -> str:
    http = config.http
    if http is None:
        return _text(["; ari-proxy needs no HTTP server of Asterisk.", "[general]", "enabled = no"])
    return _text([*_general(http), "", *_restriction(config.version, http)])


def _general(http: HttpServer) -> Iterator[str]:
    parts = urlsplit(http.url)
    is_tls = parts.scheme == "https"
    host, port = _bind_address(parts.hostname or ""), parts.port or (443 if is_tls else 80)
    yield "[general]"
    yield "enabled = yes"
    if is_tls:
        yield "bindaddr = 127.0.0.1"
        yield "tlsenable = yes"
        yield f"tlsbindaddr = {f'[{host}]' if ':' in host else host}:{port}"
        yield f"tlscertfile = {_CERTIFICATES}/asterisk.crt"
        yield f"tlsprivatekey = {_CERTIFICATES}/asterisk.key"
    else:
        yield f"bindaddr = {host}"
        yield f"bindport = {port}"
    prefix = _root(http).removesuffix("/ari").strip("/")
    if prefix:
        yield f"prefix = {prefix}"
    yield f"; ari-proxy opens up to {http.connections} connections; others need some as well."
    hundreds = math.ceil(http.connections * _SPARE / 100)
    yield f"sessionlimit = {max(SESSION_LIMIT, hundreds * 100)}"


def _root(http: HttpServer) -> str:
    """Return the path of ARI, http.conf's prefix included."""
    return urlsplit(http.url).path.rstrip("/")


def _bind_address(host: str) -> str:
    """Return where to listen: on this machine alone if ari-proxy comes from it."""
    if host in {"localhost", "127.0.0.1"}:
        return "127.0.0.1"
    if host == "::1":
        return host
    return "::" if ":" in host else "0.0.0.0"  # noqa: S104  written, not bound


def _restriction(version: Version, http: HttpServer) -> Iterator[str]:
    """Yield the restriction of ARI to ari-proxy, commented out while its address is not known."""
    if not versions.has(version, versions.URI_RESTRICTIONS):
        since = versions.words(versions.URI_RESTRICTIONS)
        yield f"; Asterisk itself restricts /ari from {since} on: let a firewall do it."
        return
    local = _bind_address(urlsplit(http.url).hostname or "")
    clients = http.clients or ((local,) if local in {"127.0.0.1", "::1"} else ())
    off = "" if clients else ";"
    if not clients:
        yield "; Only ari-proxy should reach ARI: give its addresses, and remove the semicolons."
    yield f"{off}[{_root(http)}]"
    yield f"{off}type = restriction"
    yield f"{off}deny = 0.0.0.0/0.0.0.0"
    yield f"{off}deny = ::/0"
    for client in clients or ("ADDRESS",):
        yield f"{off}permit = {client}"


def _ari_conf(config: AsteriskConfig) -> str:
    lines = ["[general]", "enabled = yes"]
    if config.listener and not versions.has(config.version, versions.REPORT_EVENTS):
        # For events of calls that end while no ingest is there; later versions are told by us.
        lines.append(f"channelvars = {DIALOG_VARIABLE}")
    if config.origin:
        lines.append(f"allowed_origins = {_value('ari.origin', config.origin)}")
    lines += ["", f"[{_user(config)}]", "type = user", "read_only = no", *_password(config)]
    if config.listener:
        for websocket in _websockets(config, config.listener):
            lines += ["", *_outbound(config, websocket)]
    return _text(lines)


class _Websocket(NamedTuple):
    """One that Asterisk opens; its sections of both files have its name."""

    name: str
    applications: str
    uri: str
    subscribe_all: bool = False
    reconnect_interval: int = RECONNECT_INTERVAL


def _websockets(config: AsteriskConfig, listener: ListenerAddress) -> Iterator[_Websocket]:
    yield _Websocket(
        EVENTS,
        ",".join(config.applications),
        f"{listener.events_url}{events_path(config.server_id)}",
        subscribe_all=config.subscribe_all,
    )
    for index in range(listener.websockets + listener.spare):
        name = command_application(index + 1)
        is_spare = index >= listener.websockets
        yield _Websocket(
            name,
            name,
            f"{listener.commands_url}{commands_path(config.server_id)}",
            reconnect_interval=SPARE_RECONNECT_INTERVAL if is_spare else RECONNECT_INTERVAL,
        )


def _outbound(config: AsteriskConfig, websocket: _Websocket) -> Iterator[str]:
    yield f"[{websocket.name}]"
    yield "type = outbound_websocket"
    yield f"websocket_client_id = {websocket.name}"
    yield f"apps = {websocket.applications}"
    yield f"subscribe_all = {_yes_no(websocket.subscribe_all)}"
    yield f"local_ari_user = {_user(config)}"


def _websocket_client_conf(config: AsteriskConfig, listener: ListenerAddress) -> str:
    lines: list[str] = []
    for websocket in _websockets(config, listener):
        lines += [*_client(config, listener, websocket), ""]
    return _text(lines)


def _client(
    config: AsteriskConfig, listener: ListenerAddress, websocket: _Websocket
) -> Iterator[str]:
    is_tls = websocket.uri.startswith("wss:")
    yield f"[{websocket.name}]"
    yield "type = websocket_client"
    yield "connection_type = persistent"
    yield f"uri = {websocket.uri}"
    yield "protocols = ari"
    yield f"username = {_user(config)}"
    yield from _password(config)
    yield f"connection_timeout = {CONNECTION_TIMEOUT}"
    yield f"reconnect_interval = {websocket.reconnect_interval}"
    yield f"reconnect_attempts = {LOGGED_ATTEMPTS}"
    yield f"tls_enabled = {_yes_no(is_tls)}"
    if is_tls:
        yield f"ca_list_file = {_CERTIFICATES}/ari-proxy-ca.crt"
        if _is_address(websocket.uri):
            yield "; Asterisk does not look for an address in a subjectAltName: better name a host."
    if is_tls and listener.wants_certificate:
        yield f"cert_file = {_CERTIFICATES}/asterisk.crt"
        yield f"priv_key_file = {_CERTIFICATES}/asterisk.key"
    if versions.has(config.version, versions.KEEP_ALIVES):
        yield "enable_pingpongs = yes"
        yield f"pingpong_interval = {PING_SECONDS}"
        yield f"pingpong_probes = {PINGS}"


def _is_address(uri: str) -> bool:
    """Return whether the host of a URI is an IP address."""
    try:
        ip_address(urlsplit(uri).hostname or "")
    except ValueError:
        return False
    return True


def _password(config: AsteriskConfig) -> Iterator[str]:
    if config.password is None:
        yield f"; The next file holds one line: password = <the password of {config.user!r}>"
        yield f'#include "{PASSWORD_FILE}"'
    else:
        yield password_line(config.password)


def _user(config: AsteriskConfig) -> str:
    user = _value("ari.user", config.user)
    if any(character in user for character in "[]();,"):
        raise UnconfigurableError(
            f"ari.user {user!r} can't name a section of ari.conf: use letters, digits, - and _"
        )
    return user


def _value(what: str, value: str) -> str:
    """Return a value as a configuration file holds it, in which `;` begins a comment."""
    if not value or value != value.strip() or not value.isprintable():
        raise UnconfigurableError(
            f"Asterisk's configuration can't hold {what}: it must not be empty, begin or end with "
            "a space, or have a line break"
        )
    return value.replace(";", "\\;")


def _yes_no(value: bool) -> str:  # noqa: FBT001  a value to write, not a flag
    return "yes" if value else "no"


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _text(lines: list[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"
