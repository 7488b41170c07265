"""TLS contexts from files; made again when a file changes."""

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

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


def client_context(
    group: str, ca_file: str, certificate_file: str = "", key_file: str = ""
) -> ssl.SSLContext:
    """Return a TLS context with the certificates in these files.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
    files = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
    with usable(group, {f"{group}.{name}": file for name, file in files.items() if file}):
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate_file:
            context.load_cert_chain(certificate_file, key_file or None)
    return context


@contextlib.contextmanager
def usable(group: str, files: dict[str, str]) -> Iterator[None]:
    """Turn an error about certificates in a block into a SettingsError that names their files.

    Args:
        group: of the settings; errors begin with it.
        files: by the full names of their settings.

    Raises:
        SettingsError: a file can't be read, or is no certificate or key.
    """
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
