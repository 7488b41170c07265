"""Findings about the configuration of an Asterisk that opens the websockets. Sans-I/O."""

import hmac
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ari_proxy.ari import versions
from ari_proxy.ari.asterisk_config import EVENTS
from ari_proxy.ari.websocket_names import command_application, events_path

from .findings import Finding

#: Attributes of a section of Asterisk's configuration; they include passwords.
Section = Mapping[str, str]
_WHAT: Final = f"Asterisk, websocket {EVENTS}"
_WRITE: Final = "write the sections that `ari-proxy asterisk-config` prints"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedWebsockets:
    """What Asterisk's configuration has to say, by our settings."""

    server_id: str
    applications: Sequence[str]
    user: str
    password: str
    websockets: int
    is_encrypted: bool


def of_version(version: str) -> list[Finding]:
    """Judge whether this Asterisk opens websockets."""
    numbers = versions.parse(version)
    if numbers is None or versions.has(numbers, versions.OUTBOUND_WEBSOCKETS):
        return []
    found = f"{version} has none; {versions.words(versions.OUTBOUND_WEBSOCKETS)} and newer do"
    remedy = "upgrade Asterisk, or set ari.connection to inbound"
    return [Finding("fault", "Asterisk, outbound websockets", found, remedy)]


def of_listening(address: str, failure: str, *, in_use: bool) -> Finding:
    """Judge whether `ari.listen` can be bound."""
    what = f"ari.listen {address}"
    if in_use:
        remedy = "unless it is a running ari-proxy, end that program or change ari.listen"
        return Finding("warning", what, "another process listens there", remedy)
    if failure:
        return Finding("fault", what, failure, "use an address of this machine, and a free port")
    return Finding("ok", what, "free")


def of_applications(wanted: WantedWebsockets, registered: Collection[str]) -> Iterator[Finding]:
    """Report which applications Asterisk has registered: those of its websockets, from its start.

    Whether a websocket is connected is something that Asterisk does not tell.
    """
    for application in wanted.applications:
        what = f"application {application}"
        if application in registered:
            yield Finding("ok", what, "registered; Asterisk does not tell who is connected for it")
        else:
            yield Finding("fault", what, "Asterisk has no websocket for it", _WRITE)
    names = [command_application(number + 1) for number in range(wanted.websockets)]
    found = sum(name in registered for name in names)
    if names:
        counted = f"{found} of {len(names)} are configured"
        yield (
            Finding("ok", "Asterisk, websockets for commands", counted)
            if found == len(names)
            else Finding("warning", "Asterisk, websockets for commands", counted, _WRITE)
        )


def section(status: int, body: str) -> Section | None:
    """Return the section in the answer to `GET /asterisk/config/dynamic/…`; None without one."""
    try:
        pairs = {item["attribute"]: item["value"] for item in json.loads(body)}
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return pairs if status == 200 else None  # noqa: PLR2004  HTTP's OK


def of_sections(
    wanted: WantedWebsockets, outbound: Section | None, client: Section | None, version: str
) -> Iterator[Finding]:
    """Judge the sections of the websocket for events in ari.conf and websocket_client.conf."""
    if outbound is None or client is None:
        file = "ari.conf" if outbound is None else "websocket_client.conf"
        found = f"there is no section {EVENTS} in {file}"
        remedy = f"{_WRITE}; if yours has another name, compare the two"
        yield Finding("warning", _WHAT, found, remedy)
        return
    faults = [*_of_outbound(wanted, outbound), *_of_client(wanted, client)]
    for fault in faults:
        yield Finding("fault", _WHAT, fault, _WRITE)
    if not faults:
        yield Finding("ok", _WHAT, "its sections fit these settings")
    yield from _of_keep_alive(client, version)


def _of_outbound(wanted: WantedWebsockets, found: Section) -> Iterator[str]:
    applications = [name.strip() for name in found.get("apps", "").split(",")]
    if set(applications) != set(wanted.applications):
        yield f"apps is {','.join(applications)}, not {','.join(wanted.applications)}"


def _of_client(wanted: WantedWebsockets, found: Section) -> Iterator[str]:
    path = events_path(wanted.server_id)
    uri = urlsplit(found.get("uri", ""))
    if uri.path != path:
        yield f"uri leads to {uri.path or '/'}, not to {path}"
    if wanted.is_encrypted and uri.scheme != "wss":
        yield "uri has no wss://, which ari.listen_certificate_file asks for"
    if uri.scheme == "wss" and found.get("tls_enabled") != "yes":
        yield "tls_enabled is not yes, which wss:// needs"
    if found.get("connection_type") != "persistent":
        yield "connection_type is not persistent: each call would open a websocket of its own"
    if "ari" not in found.get("protocols", "").replace(" ", "").split(","):
        yield "protocols is not ari"
    if found.get("username") != wanted.user:
        yield f"username is not ari.user, {wanted.user}"
    if not hmac.compare_digest(found.get("password", "").encode(), wanted.password.encode()):
        yield "password is not ari.password"


def _of_keep_alive(found: Section, version: str) -> Iterator[Finding]:
    what = "Asterisk, dead connections"
    numbers = versions.parse(version)
    if "yes" in {found.get("enable_pingpongs"), found.get("enable_tcp_keepalives")}:
        yield Finding("ok", what, "Asterisk notices them")
    elif numbers is None or versions.has(numbers, versions.KEEP_ALIVES):
        yield Finding("warning", what, "Asterisk does not look for them", "set enable_pingpongs")
    else:
        since = versions.words(versions.KEEP_ALIVES)
        told = "Asterisk notices them only after minutes, and what it sent meanwhile is lost"
        yield Finding("warning", what, told, f"upgrade Asterisk to one of {since}")


def of_theft(applications: Sequence[str], outbound: Section | None) -> list[Finding]:
    """Warn of applications that an inbound websocket would take from Asterisk's own one."""
    configured = outbound.get("apps", "").replace(" ", "").split(",") if outbound else []
    taken = [name for name in applications if name in configured]
    if not taken:
        return []
    found = f"Asterisk opens one for {', '.join(taken)} itself; ours would take it away for good"
    remedy = f"set ari.connection to outbound, or remove {EVENTS} from ari.conf"
    return [Finding("warning", _WHAT, found, remedy)]
