"""Asks the pods themselves: their admin API tells what is wrong, and which dialogs they have."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import aiohttp
import msgspec

from .children.config_map import ADMIN_PORT
from .children.wanted import Object

T = TypeVar("T")
#: Seconds that a pod may take; it looks at Asterisk and at its bus meanwhile.
ASK_SECONDS: Final = 3.0
#: Pods that are asked at once.
ASKED_AT_ONCE: Final = 32


class _Dialog(msgspec.Struct):
    state: str = ""


class _Ready(msgspec.Struct):
    checks: dict[str, str]


async def dialogs(pods: Iterable[Object], port: int = ADMIN_PORT) -> dict[str, int | None]:
    """Return, by pod, how many dialogs it has that are not over; None if it does not tell."""

    def count(content: bytes) -> int:
        found = msgspec.json.decode(content, type=list[_Dialog])
        return sum(dialog.state != "ended" for dialog in found)

    return await _ask_all(pods, lambda session, pod: _ask(session, pod, port, "/dialogs", count))


async def complaints(pods: Iterable[Object], port: int = ADMIN_PORT) -> dict[str, str]:
    """Return, by pod, what it says is wrong; nothing of one that is well or silent."""

    def problems(content: bytes) -> str:
        checks = msgspec.json.decode(content, type=_Ready).checks
        return "; ".join(f"{name}: {text}" for name, text in checks.items() if text != "ok")

    said = await _ask_all(pods, lambda session, pod: _ask(session, pod, port, "/readyz", problems))
    return {pod: text for pod, text in said.items() if text}


async def _ask_all(
    pods: Iterable[Object], ask: Callable[[aiohttp.ClientSession, Object], Awaitable[T]]
) -> dict[str, T]:
    slots = asyncio.Semaphore(ASKED_AT_ONCE)
    answers: dict[str, T] = {}

    async def answer(session: aiohttp.ClientSession, pod: Object) -> None:
        async with slots:
            answers[pod["metadata"]["name"]] = await ask(session, pod)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        for pod in pods:
            tasks.create_task(answer(session, pod))
    return answers


async def _ask(
    session: aiohttp.ClientSession,
    pod: Object,
    port: int,
    path: str,
    decode: Callable[[bytes], T],
) -> T | None:
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    try:
        async with (
            asyncio.timeout(ASK_SECONDS),
            session.get(f"http://{host}:{port}{path}") as answer,
        ):
            return decode(await answer.read())
    except (aiohttp.ClientError, OSError, msgspec.DecodeError):  # Among them TimeoutError.
        return None
