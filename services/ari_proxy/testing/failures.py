"""Failures of requests that a test has planned."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol

from ari_proxy.ari import operations
from ari_proxy.ari.client import MAX_ANSWER_BYTES, Answer, limited
from ari_proxy.ari.errors import AriTimeoutError, UnreachableError
from ari_proxy.client.ari.requests import Operation
from ari_proxy.simulator.requests import message

#: What becomes of a request: Asterisk answers with an error status; it does not get the request; or
#: it executes the request, and nobody learns that.
Failure = int | Literal["not_sent", "unknown"]
_FIRST_ERROR: Final = 400
_LAST_ERROR: Final = 599


class PlannedFailures:
    """Failures, each for the next request of its operation."""

    def __init__(self) -> None:
        self._planned: dict[tuple[str, str], list[Failure]] = {}

    def plan(self, operation: str, failure: Failure) -> None:
        """Let the next request of an operation fail that has no failure planned yet.

        Args:
            operation: like `channels.answer`.
            failure: an error status, `not_sent` or `unknown`.

        Raises:
            ValueError: there is no such operation, or no such failure.
        """
        if isinstance(failure, int) and not _FIRST_ERROR <= failure <= _LAST_ERROR:
            raise ValueError(f"{failure} is no status of an error: use 400 to 599")
        if isinstance(failure, str) and failure not in {"not_sent", "unknown"}:
            raise ValueError(f"{failure!r} is no failure: use a status, 'not_sent' or 'unknown'")
        found = _operation(operation)
        self._planned.setdefault((found.method, found.path), []).append(failure)

    def next(self, method: str, url: str) -> Failure | None:
        """Return, once, the failure of a request; None if it is to work."""
        template = operations.template_of(url.partition("?")[0])
        planned = self._planned.get((method, template), [])
        return planned.pop(0) if planned else None


def _operation(name: str) -> Operation:
    resource = name.partition(".")[0]
    try:
        module = importlib.import_module(f"ari_proxy.client.ari.operations.{resource}")
    except (ModuleNotFoundError, ValueError):
        module = operations
    for found in vars(module).values():
        if isinstance(found, Operation) and found.name == name:
            return found
    raise ValueError(f"ARI has no operation {name!r}: name one like 'channels.answer'")


async def _nothing(_: str) -> None:
    """Let the request go on."""


class Requests(Protocol):
    """Answers requests, or sends them to Asterisk."""

    async def request(self, method: str, url: str, body: str = "") -> Answer:
        """Return the answer to a request, whatever its status."""
        ...


class FailingClient:
    """A client of an Asterisk whose requests fail as planned."""

    in_flight: Final = 0

    def __init__(
        self,
        ari: Requests,
        failures: PlannedFailures,
        *,
        interrupt: Callable[[str], Awaitable[None]] = _nothing,
        after: Callable[[], None],
    ) -> None:
        """Initialise a client.

        Args:
            ari: answers, or sends them.
            failures: of its requests.
            interrupt: awaited before each request, and before the answer to one that Asterisk has
                executed; gets the moment in words.
            after: called after each request.
        """
        self._ari = ari
        self._failures = failures
        self._interrupt = interrupt
        self._after = after

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002  that of `ari`
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Return Asterisk's answer.

        Raises:
            UnreachableError: a test has planned that Asterisk gets no request.
            AriTimeoutError: a test has planned that nobody learns its answer.
            AnswerTooLargeError: the answer's body is larger than `max_bytes`.
        """
        what = f"{method} {url.partition('?')[0]}"
        await self._interrupt(f"before Asterisk got {what}")
        try:
            answer = limited(await self._answer(method, url, body), method, url, max_bytes)
        finally:
            self._after()
        await self._interrupt(f"after Asterisk got {what}, before its answer")
        return answer

    async def _answer(self, method: str, url: str, body: str) -> Answer:
        failure, path = self._failures.next(method, url), url.partition("?")[0]
        if isinstance(failure, int):
            return message(failure, "the test has planned this failure")
        if failure == "not_sent":
            raise UnreachableError(method, path, "the test has planned this failure", sent=False)
        answer = await self._ari.request(method, url, body)
        if failure == "unknown":
            raise AriTimeoutError(method, path, "the test has planned this failure", sent=True)
        return answer
