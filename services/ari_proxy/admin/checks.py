"""Readiness checks: named conditions for a process to serve calls."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from ari_proxy.clock import Clock

#: Seconds that one check may take.
CHECK_SECONDS: Final = 2.0

#: Seconds for which the answer of others holds: that all is well, and that it is not.
FINE_SECONDS: Final = 5.0
FAILED_SECONDS: Final = 1.0
#: Seconds that others have for their answer: less than a check.
ANSWER_SECONDS: Final = 1.5

#: Returns what is wrong, or ''.
Check = Callable[[], Awaitable[str]]

NameT = TypeVar("NameT")


async def problems(
    checks: Mapping[NameT, Check], *, check_seconds: float = CHECK_SECONDS
) -> dict[NameT, str]:
    """Run all checks concurrently; return the failed ones by name, each with its problem."""
    results = await asyncio.gather(*(_bounded(check, check_seconds) for check in checks.values()))
    return {name: result for name, result in zip(checks, results, strict=True) if result}


async def _bounded(check: Check, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return f"no answer within {seconds:g} s"


class RememberedCheck:
    """A check that asks others, now and then: not as often as anybody asks for readiness.

    Otherwise whoever floods the admin API, which asks for no password, would flood them.
    """

    def __init__(
        self,
        ask: Check,
        *,
        subject: Callable[[], object] = lambda: None,
        clock: Clock = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Initialise a check that has asked nobody.

        Args:
            ask: the check; one runs at a time.
            subject: what the answer is about; another one is asked about at once.
            clock: monotonic seconds.
            answer_seconds: for `ask`.
        """
        self._ask = ask
        self._subject = subject
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._asking = asyncio.Lock()
        self._problem = ""
        self._known_subject: object = None
        self._known_until = -1.0

    async def __call__(self) -> str:
        """Return what is wrong, or '', as it was a moment ago."""
        async with self._asking:
            subject = self._subject()
            if subject != self._known_subject or self._clock() >= self._known_until:
                self._problem = await _bounded(self._ask, self._answer_seconds)
                seconds = FAILED_SECONDS if self._problem else FINE_SECONDS
                self._known_subject, self._known_until = subject, self._clock() + seconds
            return self._problem
