"""Readiness checks: named conditions for a process to serve calls."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

#: Seconds that one check may take.
CHECK_SECONDS: Final = 2.0

#: Returns what is wrong, or ''.
Check = Callable[[], Awaitable[str]]


async def problems(
    checks: Mapping[str, Check], *, check_seconds: float = CHECK_SECONDS
) -> dict[str, str]:
    """Run all checks concurrently; return the failed ones by name, each with its problem."""
    results = await asyncio.gather(*(_bounded(check, check_seconds) for check in checks.values()))
    return {name: result for name, result in zip(checks, results, strict=True) if result}


async def _bounded(check: Check, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return f"no answer within {seconds:g} s"
