"""Services side by side in one process: one that fails is started again, and the others go on.

A process without any that runs is of no use: when the last one fails, its error ends them all. So
where there is one service, its error is the process's.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import structlog

from .aio import first_leaf, in_own_task, run_until_first
from .backoff import Backoff

_log = structlog.get_logger()

#: Between a failure and the next start; a fault like a missing file is there for minutes.
RESTART: Final = Backoff(first_seconds=1.0, last_seconds=60.0)

#: Runs until the event is set; calls the function as soon as it serves.
Service = Callable[[asyncio.Event, Callable[[], object]], Coroutine[Any, Any, None]]


class Supervisor:
    """Keeps services running."""

    def __init__(
        self,
        *,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
        count_failure: Callable[[str], None] = lambda _: None,
        restart: Backoff = RESTART,
    ) -> None:
        """Initialise without any.

        Args:
            expected: errors whose message says all; others are logged with their traceback.
            count_failure: called with the name of a service that fails.
            restart: from a failure to the next start; one that ran longer begins anew.
        """
        self._expected = expected
        self._count_failure = count_failure
        self._restart = restart
        #: Why those that do not serve have failed; they do, until they serve again.
        self._failures: dict[str, str] = {}

    def failure_of(self, name: str) -> str:
        """Return why a service does not run; '' if it does, or is being started first."""
        return self._failures.get(name, "")

    async def run(self, services: Mapping[str, Service], stop: asyncio.Event) -> None:
        """Run services until they have stopped.

        Args:
            services: by name.
            stop: set when they should end.

        Raises:
            ExceptionGroup: of the error of the last one that was running.
        """
        async with asyncio.TaskGroup() as tasks:
            for name, service in services.items():
                tasks.create_task(self._keep(name, service, stop, len(services)))

    async def _keep(self, name: str, service: Service, stop: asyncio.Event, number: int) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while not stop.is_set():
            begun_at = clock()
            try:
                serves = partial(self._failures.pop, name, None)
                await in_own_task(service(stop, serves))
            except Exception as error:
                self._note(name, first_leaf(error))
                if len(self._failures) == number:
                    raise
                is_steady = clock() - begun_at > self._restart.last_seconds
                failures = 1 if is_steady else failures + 1
                seconds = self._restart.seconds(failures)
                self._log(name, first_leaf(error), seconds)
            else:
                return
            await run_until_first(stop.wait(), asyncio.sleep(seconds))

    def _note(self, name: str, error: BaseException) -> None:
        self._failures[name] = str(error) or type(error).__name__
        self._count_failure(name)

    def _log(self, name: str, error: BaseException, seconds: float) -> None:
        _log.error(
            "server.failed",
            server_id=name,
            error=self._failures[name],
            again_in_seconds=round(seconds, 1),
            exc_info=None if isinstance(error, self._expected) else error,
        )
