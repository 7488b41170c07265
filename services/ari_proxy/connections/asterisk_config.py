"""Asterisk's configuration for settings: the values of `ari.asterisk_config`."""

from dataclasses import dataclass
from typing import Final

from ari_proxy.ari.asterisk_config import AsteriskConfig, HttpServer, ListenerAddress
from ari_proxy.ari.errors import UnconfigurableError
from ari_proxy.ari.versions import Version
from ari_proxy.settings.files import read_secret, read_value
from ari_proxy.settings.load import Settings
from ari_proxy.settings.urls import UrlError, plain_url

#: Websockets of ingest: while it is handed over, the successor has one as well.
_INGEST: Final = 2
_ANY_HOST: Final = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104  compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the settings do not say."""

    version: Version
    #: Where Asterisk reaches ingest and command, as `ws://host:port`; '' for `ari.listen`.
    url: str = ""
    #: Where it reaches command, if elsewhere.
    command_url: str = ""
    #: Addresses or networks of ari-proxy.
    clients: tuple[str, ...] = ()
    #: Number of executors.
    executors: int = 1


def asterisk_config(
    settings: Settings, deployment: Deployment, *, with_password: bool
) -> AsteriskConfig:
    """Return what Asterisk's configuration has to say for these settings.

    Raises:
        SettingsError: a secret can't be read.
        UnconfigurableError: a URL can't be used.
    """
    ari = settings.ari
    is_outbound = ari.connection == "outbound"
    needs_http = not is_outbound or settings.command.transport != "websocket"
    password = read_secret("ari.password_file", ari.password, ari.password_file)
    return AsteriskConfig(
        version=deployment.version,
        server_id=settings.server_id,
        applications=settings.applications,
        user=read_value("ari.user_file", ari.user, ari.user_file),
        password=password if with_password else None,
        subscribe_all=ari.subscribe_all,
        origin=ari.origin,
        http=_http(settings, deployment) if needs_http else None,
        listener=_listener(settings, deployment) if is_outbound else None,
    )


def _http(settings: Settings, deployment: Deployment) -> HttpServer:
    connections = settings.ari.max_connections
    if settings.ari.connection == "inbound" and settings.command.transport != "http":
        connections += settings.command.websockets
    # While one is replaced, there is one more executor.
    connections = connections * (deployment.executors + 1) + _INGEST
    return HttpServer(
        url=settings.ari.rest_url, clients=deployment.clients, connections=connections
    )


def _listener(settings: Settings, deployment: Deployment) -> ListenerAddress:
    ari = settings.ari
    url = _url("--url", deployment.url) if deployment.url else _own_url(settings)
    command_url = deployment.command_url and _url("--command-url", deployment.command_url)
    for given in (url, command_url):
        if ari.listen_certificate_file and given.startswith("ws:"):
            raise UnconfigurableError(
                f"{given}: ari.listen_certificate_file is set, so Asterisk has to use wss://"
            )
    is_used = settings.command.transport != "http"
    return ListenerAddress(
        events_url=url,
        commands_url=command_url or url,
        websockets=settings.command.websockets * deployment.executors * is_used,
        wants_certificate=bool(ari.listen_client_ca_file),
    )


def _own_url(settings: Settings) -> str:
    host, _, _ = settings.ari.listen.rpartition(":")
    if host in _ANY_HOST:
        raise UnconfigurableError(
            f"ari.listen is {settings.ari.listen}, which names no host: say with --url where "
            "Asterisk reaches it, like --url ws://ari-proxy.example.com:8089"
        )
    scheme = "wss" if settings.ari.listen_certificate_file else "ws"
    return f"{scheme}://{settings.ari.listen}"


def _url(option: str, url: str) -> str:
    try:
        return plain_url(url, ("ws", "wss")).rstrip("/")
    except UrlError as error:
        raise UnconfigurableError(f"{option}: {error}") from error
