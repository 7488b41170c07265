"""The addresses where Asterisk servers connect to: servers of one process may share one."""

import asyncio
from collections.abc import Callable, Collection
from contextvars import copy_context

from ari_proxy.ari.listener import Listener, Refusal
from ari_proxy.settings.load import Settings

from . import factories


class SharedListeners:
    """The listeners of a process, by address."""

    def __init__(
        self, tasks: asyncio.TaskGroup, count_refused: Callable[[Refusal], None] = lambda _: None
    ) -> None:
        """Initialise without any.

        Args:
            tasks: of the process; listeners run in it until it is cancelled.
            count_refused: called for each peer that is refused.
        """
        self._tasks = tasks
        #: The log's fields of the process: a listener is not the server's that has it run.
        self._context = copy_context()
        self._count_refused = count_refused
        self._listeners: dict[str, Listener] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def of(self, settings: Settings) -> Listener | None:
        """Return the listener of a server, which does not listen yet; None if we connect to it.

        Raises:
            SettingsError: a secret or a certificate can't be read.
        """
        if settings.ari.connection == "inbound":
            return None
        address = settings.ari.listen
        if address not in self._listeners:
            self._listeners[address] = factories.listener(settings, self._count_refused)
        return self._listeners[address]

    def expect(self, settings: Settings, components: Collection[str]) -> None:
        """Have a server's Asterisk answered 503 until its services wait for it: it is no intruder.

        Args:
            settings: of the server.
            components: its services in this process.

        Raises:
            SettingsError: a secret or a certificate can't be read.
        """
        listener = self.of(settings)
        if listener is not None:
            factories.expect_asterisk(settings, listener, components)

    def listen(self, settings: Settings) -> None:
        """Begin to accept connections at the address of a server that connects to us."""
        if settings.ari.connection == "inbound":
            return
        address = settings.ari.listen
        if address in self._listeners and address not in self._running:
            listening = self._listeners[address].run()
            context = self._context.copy()
            self._running[address] = self._tasks.create_task(listening, context=context)

    def close(self) -> None:
        """Accept no more connections."""
        for task in self._running.values():
            task.cancel()
