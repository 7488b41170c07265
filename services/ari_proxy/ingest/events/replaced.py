"""The applications that another websocket client has taken from this ingest.

Asterisk announces it with ApplicationReplaced; what it was sending just then may follow. This
ingest takes no application from a client that has it: two ingests would take it from each other
without end. One that nobody has any more it takes again (`ingest/events/freed.py`).
"""

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

_log = structlog.get_logger()

#: Seconds for a successor to ask for the dialogs after ApplicationReplaced; without that, it was
#: another client, which is an error.
ASKED_SECONDS: Final = 3.0


class ReplacedApplications:
    """Those of the present connection, and whether a successor has them."""

    def __init__(
        self, applications: Collection[str], *, asked_seconds: float = ASKED_SECONDS
    ) -> None:
        self._applications = frozenset(applications)
        self._asked_seconds = asked_seconds
        self._is_expected = False
        self._freed: frozenset[str] = frozenset()
        self._is_connected = False
        self._all = asyncio.Event()
        #: Their names. The set stays the same object.
        self.names: set[str] = set()

    def note_silent(self, application: str) -> None:
        """Note that another client has taken an application unseen: none of its events come."""
        if application not in self.names:
            self.names.add(application)
            _log.error("application.replaced", application=application)

    def note_all_silent(self) -> None:
        """Note that for all applications: Asterisk answers no request on their websocket."""
        for application in sorted(self._applications):
            self.note_silent(application)

    def restore(self, application: str) -> None:
        """Note that the events of an application come again."""
        self.names.discard(application)
        self._all.clear()
        _log.info("application.restored", application=application)

    def begin_connection(self, *, has_all: bool) -> None:
        """Note a new connection.

        Args:
            has_all: whether it gets all applications but `left`, as one that we have opened does.
        """
        self._is_connected = True
        if has_all:
            self.names.intersection_update(self.left)
            self._all.clear()
        for application in sorted(self._freed):
            _log.info("application.restored", application=application)
        self._freed = frozenset()

    def take_again(self, freed: Collection[str]) -> None:
        """Note which applications the next connection takes, since nobody has them any more.

        It leaves alone the others that are replaced: their clients live.
        """
        self._freed = frozenset(freed)

    @property
    def left(self) -> frozenset[str]:
        """The applications that the next connection leaves to their clients."""
        return frozenset(self.names) - self._freed if self._freed else frozenset()

    @property
    def is_expected(self) -> bool:
        """True if a successor has asked for the dialogs."""
        return self._is_expected

    def end_connection(self) -> None:
        """Note that no events come until the next connection."""
        self._is_connected = False

    def has_events(self, application: str) -> bool:
        """Return whether Asterisk sends an application's events to this ingest now."""
        return self._is_connected and application not in self.names

    def expect(self) -> None:
        """Note that a successor has asked for the dialogs: it takes the applications rightly."""
        self._is_expected = True

    def note(self, application: str, *, is_former: bool = False) -> None:
        """Note an ApplicationReplaced.

        Args:
            application: its name.
            is_former: whether the event is of a connection that is over.
        """
        loop = asyncio.get_running_loop()
        loop.call_later(self._asked_seconds, self._log, application)
        if is_former:
            return
        self.names.add(application)
        if self.names.issuperset(self._applications):
            self._all.set()

    def _log(self, application: str) -> None:
        if self._is_expected:
            _log.info("application.handed_over", application=application)
        else:
            _log.error("application.replaced", application=application)

    @property
    def are_all(self) -> bool:
        """True if no application is left."""
        return self._all.is_set()

    async def wait_all(self) -> None:
        """Return once no application is left."""
        await self._all.wait()
