"""Asks the pods themselves: their admin API tells what is wrong, and how many dialogs they have.

Only a whole answer of the right form counts, since a server goes with its last dialog: of whatever
else comes it is said why the pod does not tell.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Generic, TypeVar

import aiohttp
import msgspec

from ari_proxy import bounded_body
from ari_proxy.operator.decide.children.config_map import ADMIN_PORT
from ari_proxy.operator.decide.children.wanted import Object
from ari_proxy.protocol.malformed import UNDECODABLE

T = TypeVar("T")
#: Seconds that a pod may take; it looks at Asterisk and at its bus meanwhile.
ASK_SECONDS: Final = 3.0
#: Pods that are asked at once.
ASKED_AT_ONCE: Final = 32
#: Of one answer: what some thousand dialogs are in the longest one.
MAX_ANSWER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """What pods have said, by their names."""

    told: dict[str, T]
    #: Why the others do not tell; it is the same text as long as the reason is the same.
    silent: dict[str, str]


class _Count(msgspec.Struct):
    open: Annotated[int, msgspec.Meta(ge=0)]


class _Dialog(msgspec.Struct):
    state: str


class _Ready(msgspec.Struct):
    checks: dict[str, str]


async def dialogs(
    pods: Iterable[Object], port: int = ADMIN_PORT, *, ask_seconds: float = ASK_SECONDS
) -> Answers[int]:
    """Return how many dialogs each pod has that are not over."""
    return await _ask_all(pods, port, _count, ask_seconds)


async def complaints(
    pods: Iterable[Object], port: int = ADMIN_PORT, *, ask_seconds: float = ASK_SECONDS
) -> Answers[str]:
    """Return what each pod says is wrong; nothing of one that is well."""
    said = await _ask_all(pods, port, _complaint, ask_seconds)
    return Answers({pod: text for pod, text in said.told.items() if text}, said.silent)


class _SilenceError(Exception):
    """A pod does not tell; the message says why, to follow its name."""


class _StatusError(_SilenceError):
    """It answers with a status that says nothing."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"it answers {status} to {path}")
        self.status = status


@dataclass(frozen=True, slots=True)
class _Admin:
    """The admin API of a pod."""

    session: aiohttp.ClientSession
    root: str

    async def get(
        self, path: str, form: type[T], statuses: Collection[int] = (HTTPStatus.OK,)
    ) -> T:
        """Return what a path has.

        Raises:
            _SilenceError: it has an answer of another status or form, or a larger one.
            aiohttp.ClientError: there is none.
        """
        async with self.session.get(self.root + path, allow_redirects=False) as answer:
            if answer.status not in statuses:
                raise _StatusError(path, answer.status)
            content = await bounded_body.read(answer, MAX_ANSWER_BYTES)
        if content is None:
            raise _SilenceError(f"its answer to {path} has more than {MAX_ANSWER_BYTES} bytes")
        try:
            return msgspec.json.decode(content, type=form)
        except UNDECODABLE as error:
            problem = f"its answer to {path} is not of the form that was asked for: {error}"
            raise _SilenceError(problem) from error


async def _count(admin: _Admin) -> int:
    try:
        return (await admin.get("/dialogs/count", _Count)).open
    except _StatusError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    # It is of a version that tells them all, and no number.
    found = await admin.get("/dialogs", list[_Dialog])
    return sum(dialog.state != "ended" for dialog in found)


async def _complaint(admin: _Admin) -> str:
    statuses = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE
    checks = (await admin.get("/readyz", _Ready, statuses)).checks
    return "; ".join(f"{name}: {text}" for name, text in checks.items() if text != "ok")


async def _ask_all(
    pods: Iterable[Object],
    port: int,
    question: Callable[[_Admin], Awaitable[T]],
    ask_seconds: float,
) -> Answers[T]:
    slots = asyncio.Semaphore(ASKED_AT_ONCE)
    answers: Answers[T] = Answers({}, {})

    async def ask(session: aiohttp.ClientSession, pod: Object) -> None:
        name = pod["metadata"]["name"]
        async with slots:
            try:
                admin = _Admin(session, _root(pod, port))
                answers.told[name] = await _ask(admin, question, ask_seconds)
            except _SilenceError as error:
                answers.silent[name] = str(error)

    # What is compressed has no bound.
    plain = {"Accept-Encoding": "identity"}
    async with (
        aiohttp.ClientSession(headers=plain, auto_decompress=False) as session,
        asyncio.TaskGroup() as tasks,
    ):
        for pod in pods:
            tasks.create_task(ask(session, pod))
    return answers


def _root(pod: Object, port: int) -> str:
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}"


async def _ask(admin: _Admin, question: Callable[[_Admin], Awaitable[T]], ask_seconds: float) -> T:
    try:
        async with asyncio.timeout(ask_seconds):
            return await question(admin)
    except TimeoutError:
        problem = f"it does not answer within {ask_seconds:g} s"
    except OSError as error:
        problem = f"it can't be reached: {error.strerror or error}"
    except aiohttp.ClientError:
        problem = "its answer breaks off or is no HTTP"
    raise _SilenceError(problem)
