"""Credentials for Asterisk, from settings and from files that may change while the process runs."""

import time
from typing import Final

from ari_proxy.ari.credentials import Credentials
from ari_proxy.clock import Clock
from ari_proxy.settings.ari import AriSettings
from ari_proxy.settings.files import read_secret, read_value

from .rereading import RereadGuard

#: Seconds after which a changed file is noticed.
REREAD_SECONDS: Final = 5.0


class RotatingCredentials:
    """The user of ari.conf; files are read again periodically, so that they may change.

    Asterisk and our files change at different times: if Asterisk refuses the new credentials, the
    former ones are tried again.
    """

    def __init__(self, settings: AriSettings, *, clock: Clock = time.monotonic) -> None:
        self._settings = settings
        self._has_files = bool(settings.user_file or settings.password_file)
        self._clock = clock
        self._rereading = RereadGuard()
        self._current = self._read()
        self._former = self._current
        self._read_at = clock()

    def current(self) -> Credentials:
        """Return the current credentials."""
        if self._has_files and self._clock() - self._read_at > REREAD_SECONDS:
            self._renew()
        return self._current

    def refused(self, credentials: Credentials) -> bool:
        """Note that Asterisk does not take these; return whether there are others to try."""
        self._renew()
        if _are_same(self._current, credentials):
            self._current, self._former = self._former, self._current
        return not _are_same(self._current, credentials)

    def _renew(self) -> None:
        self._read_at = self._clock()
        with self._rereading:
            fresh = self._read()
            if not _are_same(fresh, self._current):
                self._current, self._former = fresh, self._current

    def _read(self) -> Credentials:
        settings = self._settings
        user = read_value("ari.user_file", settings.user, settings.user_file)
        password = read_secret("ari.password_file", settings.password, settings.password_file)
        return Credentials(user, password)


def _are_same(one: Credentials, other: Credentials) -> bool:
    return one.authorization == other.authorization
