"""TLS contexts from settings; made again when a certificate file changes."""

import contextlib
import ssl
from pathlib import Path

from ari_proxy.settings.ari import AriSettings
from ari_proxy.settings.bus import BusSettings
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.files import read_bytes

from .rereading import RereadGuard


class RotatingTls:
    """The TLS context of one settings group; made again when a certificate file changes."""

    def __init__(self, group: str, settings: AriSettings | BusSettings) -> None:
        self._group = group
        self._settings = settings
        self._rereading = RereadGuard()
        self._stamps = self._read_stamps()
        self._context = tls_context(group, settings)

    def current(self) -> ssl.SSLContext | None:
        """Return the current context, or None if no certificates are configured."""
        stamps = self._read_stamps()
        if stamps != self._stamps:
            with self._rereading:
                self._context = tls_context(self._group, self._settings)
                self._stamps = stamps
        return self._context

    def _read_stamps(self) -> list[int]:
        stamps = []
        for file in _tls_files(self._settings):
            with contextlib.suppress(OSError):
                stamps.append(Path(file).stat().st_mtime_ns)
        return stamps


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


def client_context(
    group: str, ca_file: str, certificate_file: str = "", key_file: str = ""
) -> ssl.SSLContext:
    """Return a TLS context with the certificates in these files.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
    files = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
    used = {f"{group}.{name}": file for name, file in files.items() if file}
    _check_readable(used)
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate_file:
            context.load_cert_chain(certificate_file, key_file or None)
    except OSError as error:  # Among them ssl.SSLError.
        listed = ", ".join(used.values())
        message = f"{group}: the certificates of {listed} can't be used: {error}"
        raise SettingsError([message]) from error
    return context


def _check_readable(files: dict[str, str]) -> None:
    """Refuse files that can't be read, by their settings: OpenSSL does not say which one."""
    unread: list[str] = []
    for setting, file in files.items():
        try:
            read_bytes(setting, file)
        except SettingsError as error:
            unread += error.problems
    if unread:
        raise SettingsError(unread)
