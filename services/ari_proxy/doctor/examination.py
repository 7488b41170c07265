"""Read-only checks of Asterisk and the bus; no running client loses its application."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final
from urllib.parse import quote

import aiohttp
from websockets.exceptions import WebSocketException

from ari_proxy import certificate_errors
from ari_proxy.ari import features, rest_pool
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.message_connection import MessageConnection
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.rest_socket import RestSocket
from ari_proxy.bus.base import Bus, Right, opened
from ari_proxy.bus.errors import BusError
from ari_proxy.connections import factories
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings

from . import findings, nats_streams, outbound, outbound_findings, rights
from .findings import APPLICATION, Finding

#: Timeout of one step, in seconds.
STEP_SECONDS: Final = 10.0
#: The default of `sessionlimit` in http.conf.
SESSION_LIMIT: Final = 100


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield the findings, step by step."""
    is_outbound = settings.ari.connection == "outbound"
    asterisk = _outbound(settings) if is_outbound else _inbound(settings)
    for part, found in (("Asterisk", asterisk), ("bus", _bus(settings))):
        try:
            async for finding in found:
                yield finding
        except SettingsError as error:  # A file that hides neither the other part nor a server.
            yield Finding("fault", f"{part}, settings", str(error))


# Asterisk


async def _outbound(settings: Settings) -> AsyncIterator[Finding]:
    async with factories.rest_client(settings) as rest:
        async for finding in outbound.examined(settings, rest):
            yield finding
    if settings.command.transport != "websocket":
        yield await _clock(settings)


async def _inbound(settings: Settings) -> AsyncIterator[Finding]:
    async with factories.rest_client(settings) as rest:
        async for finding in _rest(settings, rest):
            yield finding
    for finding in await _websocket(settings):
        yield finding
    yield await _clock(settings)
    websockets = settings.command.websockets if settings.command.transport != "http" else 0
    yield findings.of_sessions(settings.ari.max_connections + websockets, SESSION_LIMIT)


async def _rest(settings: Settings, rest: RestClient) -> AsyncIterator[Finding]:
    try:
        answer = await rest.request("GET", "/asterisk/info")
    except TransportError as error:
        remedy = (
            "check that Asterisk runs, that ari.rest_url is right and that its port is reachable"
        )
        is_untrusted = certificate_errors.is_explained(str(error))  # Includes a remedy.
        yield Finding("fault", "Asterisk, REST", str(error), "" if is_untrusted else remedy)
        return
    found = findings.of_info(answer.status, answer.body, today=datetime.now(UTC).date())
    for finding in found:
        yield finding
    if findings.exit_code(found):
        return
    yield await _asked(rest, "DELETE", f"/channels/{APPLICATION}", findings.of_write)
    for application in settings.applications:
        path = f"/applications/{quote(application, safe='')}"
        yield await _asked(rest, "GET", path, partial(findings.of_application, application))
    for finding in await _theft(settings, rest):
        yield finding
    for finding in findings.of_features(features.described(await _descriptions(rest))):
        yield finding


async def _theft(settings: Settings, rest: RestClient) -> list[Finding]:
    try:
        own = await outbound.section(rest, "res_ari")
    except TransportError as error:
        return [Finding("fault", "Asterisk, REST", str(error))]
    return outbound_findings.of_theft(settings.applications, own)


async def _asked(
    rest: RestClient, method: str, path: str, meaning: Callable[[int], Finding]
) -> Finding:
    try:
        return meaning((await rest.request(method, path)).status)
    except TransportError as error:
        return Finding("fault", "Asterisk, REST", str(error))


async def _descriptions(rest: RestClient) -> list[str]:
    """Return Asterisk's own descriptions of the parts of its API that have newer features."""
    texts = []
    for name in features.RESOURCES:
        with suppress(TransportError):
            texts.append((await rest.request("GET", f"/api-docs/{name}.json")).body)
    return texts


async def _websocket(settings: Settings) -> list[Finding]:
    what = "Asterisk, events websocket"
    socket = factories.event_socket(settings.model_copy(update={"applications": (APPLICATION,)}))
    try:
        async with asyncio.timeout(STEP_SECONDS):
            connection = await socket.connect()
            begun_at = time.monotonic()
            await (await connection.ping())
            seconds = time.monotonic() - begun_at
            takes_requests = await _takes_requests(connection)
            await connection.close()
    except (OSError, WebSocketException, EOFError) as error:  # Among them TimeoutError.
        remedy = "check ari.websocket_url; a proxy in between must support websockets"
        if untrusted := await socket.explained(error):
            return [Finding("fault", what, untrusted)]
        return [Finding("fault", what, str(error) or "timed out", remedy)]
    found = Finding("ok", what, f"open; a ping takes {seconds * 1000:.1f} ms")
    transport = settings.command.transport
    return [found, findings.of_transport(transport, takes_requests=takes_requests)]


async def _takes_requests(connection: MessageConnection) -> bool:
    requests = RestSocket(connection)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(requests.read())
        try:
            return await rest_pool.takes_requests(requests, APPLICATION)
        finally:
            reading.cancel()


async def _clock(settings: Settings) -> Finding:
    """Compare clocks, using the Date header of Asterisk's HTTP responses."""
    try:
        async with (
            asyncio.timeout(STEP_SECONDS),
            aiohttp.ClientSession() as session,
            session.get(settings.ari.rest_url, ssl=False, allow_redirects=False) as answer,
        ):
            date = parsedate_to_datetime(answer.headers["Date"])
    except (aiohttp.ClientError, OSError, KeyError, ValueError):
        return Finding("warning", "clock", "Asterisk sent no usable Date header")
    return findings.of_clock(time.time() - date.timestamp())


# The bus


async def _bus(settings: Settings) -> AsyncIterator[Finding]:
    what = f"bus, {settings.bus.kind}"
    async with opened(factories.bus(settings, "doctor")) as bus:
        if failure := await _failure(bus):
            remedy = "check bus.urls, the account, and that the bus's port is reachable"
            is_untrusted = certificate_errors.is_explained(failure)  # Includes a remedy.
            remedy = "" if is_untrusted else remedy
            yield Finding("fault", what, f"no connection: {failure}", remedy)
            return
        yield Finding("ok", what, "connected")
        try:
            async with asyncio.timeout(STEP_SECONDS):
                found = [finding async for finding in _account(settings, bus)]
        except (BusError, TimeoutError) as error:
            yield Finding("fault", what, str(error) or "timed out")
            return
        for finding in found:
            yield finding


async def _failure(bus: Bus) -> str:
    """Try each server once; return why there is no connection, or ''."""
    try:
        async with asyncio.timeout(STEP_SECONDS):
            return await bus.wait_tried()
    except TimeoutError:
        return "timed out"


async def _account(settings: Settings, bus: Bus) -> AsyncIterator[Finding]:
    begun_at = time.monotonic()
    await bus.try_right(Right("publish", topics.events(ServerId(settings.server_id))))
    milliseconds = (time.monotonic() - begun_at) * 1000
    yield Finding("ok", "bus, round trip", f"a reply takes {milliseconds:.1f} ms")
    async for finding in rights.rights(settings, bus):
        yield finding
    if settings.bus.kind == "NATS":
        async for finding in nats_streams.streams(settings, bus):
            yield finding
