"""TLS contexts from settings; made again when a certificate file changes."""

import ssl
from functools import partial

from ari_proxy.settings.ari import AriSettings
from ari_proxy.settings.bus import BusSettings

from .certificates import RotatingContext, client_context, usable


class RotatingTls(RotatingContext):
    """The TLS context of the connections that we open with one settings group."""

    def __init__(self, group: str, settings: AriSettings | BusSettings) -> None:
        super().__init__(_tls_files(settings), partial(tls_context, group, settings))


class ListenerTls(RotatingContext):
    """The TLS context of the connections that Asterisk opens."""

    def __init__(self, settings: AriSettings) -> None:
        files = _listener_files(settings)
        super().__init__(files.values(), partial(server_context, settings))


def _listener_files(settings: AriSettings) -> dict[str, str]:
    names = "listen_certificate_file", "listen_key_file", "listen_client_ca_file"
    return {f"ari.{name}": getattr(settings, name) for name in names if getattr(settings, name)}


def _tls_files(settings: AriSettings | BusSettings) -> list[str]:
    files = settings.ca_file, settings.certificate_file, settings.key_file
    return [file for file in files if file]


def tls_context(group: str, settings: AriSettings | BusSettings) -> ssl.SSLContext | None:
    """Return the TLS context of a settings group, or None if it names no certificates.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
    if not _tls_files(settings):
        return None
    return client_context(group, settings.ca_file, settings.certificate_file, settings.key_file)


def server_context(settings: AriSettings) -> ssl.SSLContext | None:
    """Return the TLS context for Asterisk's connections to us, or None for those without TLS.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
    if not settings.listen_certificate_file:
        return None
    with usable("ari", _listener_files(settings)):
        client_ca_file = settings.listen_client_ca_file or None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca_file)
        context.load_cert_chain(settings.listen_certificate_file, settings.listen_key_file or None)
        if client_ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
    return context
