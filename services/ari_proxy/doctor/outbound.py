"""Read-only checks where Asterisk opens the websockets: our side, and its configuration."""

import errno
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from ari_proxy import accepting
from ari_proxy.ari.asterisk_config import EVENTS
from ari_proxy.ari.client import Answer, AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.connections import tls
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.fields import host_and_port
from ari_proxy.settings.files import read_secret, read_value
from ari_proxy.settings.load import Settings

from . import findings, outbound_findings
from .findings import Finding
from .outbound_findings import Section, WantedWebsockets

_SECTIONS: Final = {"res_ari": "outbound_websocket", "res_websocket_client": "websocket_client"}
_SHOW: Final = "on Asterisk, `ari show websocket sessions` shows what is connected"


async def examined(settings: Settings, rest: AriClient) -> AsyncIterator[Finding]:
    """Yield the findings.

    Args:
        settings: of all components.
        rest: a client of Asterisk's HTTP.
    """
    yield await _listening(settings)
    yield findings.of_outbound_transport(settings.command.transport)
    if settings.command.transport == "websocket":
        found = "not asked: command.transport is websocket, so that its configuration is not known"
        yield Finding("ok", "Asterisk, REST", found, _SHOW)
        return
    async for finding in _asked(settings, rest):
        yield finding


async def _listening(settings: Settings) -> Finding:
    """Bind the address for a moment: Asterisk tries again."""
    address = settings.ari.listen
    failure, in_use = "", False
    try:
        tls.server_context(settings.ari)
        host, port = host_and_port(address)
        for listening in await accepting.listen(host, port, backlog=1):
            listening.close()
    except SettingsError as error:
        return Finding("fault", "ari.listen_certificate_file", "; ".join(error.problems))
    except OSError as error:
        failure, in_use = str(error), error.errno == errno.EADDRINUSE
    return outbound_findings.of_listening(address, failure, in_use=in_use)


async def _asked(settings: Settings, rest: AriClient) -> AsyncIterator[Finding]:
    try:
        answer = await rest.request("GET", "/asterisk/info")
    except TransportError as error:
        found = f"{error}; commands that need HTTP fail, and its configuration is not known"
        remedy = "make ari.rest_url reachable, or set command.transport to websocket"
        yield Finding("warning", "Asterisk, REST", found, remedy)
        return
    told = findings.of_info(
        answer.status, answer.body, today=datetime.now(UTC).date(), is_outbound=True
    )
    version = findings.version(answer.body)
    for finding in (*told, *outbound_findings.of_version(version)):
        yield finding
    if findings.exit_code(told):
        return
    async for finding in _configured(settings, rest, version):
        yield finding


async def _configured(settings: Settings, rest: AriClient, version: str) -> AsyncIterator[Finding]:
    wanted = _wanted(settings)
    try:
        write = await rest.request("DELETE", f"/channels/{findings.APPLICATION}")
        registered = _names(await rest.request("GET", "/applications"))
        own, client = [await section(rest, module) for module in _SECTIONS]
    except TransportError as error:
        yield Finding("fault", "Asterisk, REST", str(error))
        return
    yield findings.of_write(write.status)
    for finding in outbound_findings.of_applications(wanted, registered):
        yield finding
    for finding in outbound_findings.of_sections(wanted, own, client, version):
        yield finding


async def section(rest: AriClient, module: str) -> Section | None:
    """Return the section of Asterisk's websocket for events in a module's configuration.

    Raises:
        TransportError: there was no answer.
    """
    path = f"/asterisk/config/dynamic/{module}/{_SECTIONS[module]}/{EVENTS}"
    answer = await rest.request("GET", path)
    return outbound_findings.section(answer.status, answer.body)


def _names(answer: Answer) -> set[str]:
    try:
        return {str(item["name"]) for item in json.loads(answer.body)}
    except (ValueError, RecursionError, KeyError, TypeError):
        return set()


def _wanted(settings: Settings) -> WantedWebsockets:
    ari, command = settings.ari, settings.command
    return WantedWebsockets(
        server_id=settings.server_id,
        applications=settings.applications,
        user=read_value("ari.user_file", ari.user, ari.user_file),
        password=read_secret("ari.password_file", ari.password, ari.password_file),
        websockets=command.websockets if command.transport != "http" else 0,
        is_encrypted=bool(ari.listen_certificate_file),
    )
