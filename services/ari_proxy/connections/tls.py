"""TLS contexts from settings; made again when a certificate file changes."""

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ari_proxy.settings.ari import AriSettings
from ari_proxy.settings.bus import BusSettings
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.files import read_bytes

from .rereading import RereadGuard


class RotatingContext:
    """A TLS context that is made again when one of its files changes."""

    def __init__(self, files: Iterable[str], make: Callable[[], ssl.SSLContext | None]) -> None:
        """Make the context.

        Args:
            files: those that it is made from; '' for none.
            make: makes it.

        Raises:
            SettingsError: a file can't be read, or is no certificate or key.
        """
        self._files = [Path(file) for file in files if file]
        self._make = make
        self._rereading = RereadGuard()
        self._stamps = self._read_stamps()
        self._context = make()

    def current(self) -> ssl.SSLContext | None:
        """Return the current context, or None if no certificates are configured."""
        stamps = self._read_stamps()
        if stamps != self._stamps:
            with self._rereading:
                self._context = self._make()
                self._stamps = stamps
        return self._context

    def _read_stamps(self) -> list[int]:
        stamps = []
        for file in self._files:
            with contextlib.suppress(OSError):
                stamps.append(file.stat().st_mtime_ns)
        return stamps


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


def client_context(
    group: str, ca_file: str, certificate_file: str = "", key_file: str = ""
) -> ssl.SSLContext:
    """Return a TLS context with the certificates in these files.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
    files = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
    with _usable(group, {f"{group}.{name}": file for name, file in files.items() if file}):
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate_file:
            context.load_cert_chain(certificate_file, key_file or None)
    return context


def server_context(settings: AriSettings) -> ssl.SSLContext | None:
    """Return the TLS context for Asterisk's connections to us, or None for those without TLS.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
    if not settings.listen_certificate_file:
        return None
    with _usable("ari", _listener_files(settings)):
        client_ca_file = settings.listen_client_ca_file or None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca_file)
        context.load_cert_chain(settings.listen_certificate_file, settings.listen_key_file or None)
        if client_ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def _usable(group: str, files: dict[str, str]) -> Iterator[None]:
    """Turn an error about files, by setting, into a SettingsError that names them."""
    _check_readable(files)
    try:
        yield
    except OSError as error:  # Among them ssl.SSLError.
        listed = ", ".join(files.values())
        message = f"{group}: the certificates of {listed} can't be used: {error}"
        raise SettingsError([message]) from error


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
