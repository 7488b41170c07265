"""Queries the admin API of pods: failing readiness checks, and the number of open dialogs.

Only a complete answer of the expected form counts, since the operator deletes a server that reports
no dialogs. Any other answer is a failure with its reason.
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
from ari_proxy.operator.objects import Object
from ari_proxy.operator.state import PodQuery
from ari_proxy.protocol.malformed import UNDECODABLE

T = TypeVar("T")
#: Deadline of one query; the pod checks Asterisk and its bus in that time.
QUERY_SECONDS: Final = 3.0
MAX_CONCURRENT_QUERIES: Final = 32
#: Enough for some thousand dialogs in the longest form of an answer.
MAX_ANSWER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """The results of queries, by their names."""

    values: dict[str, T]
    #: Reasons of failed queries; the text is stable while the cause lasts.
    failures: dict[str, str]


class _DialogCount(msgspec.Struct):
    open: Annotated[int, msgspec.Meta(ge=0)]


class _ListedDialog(msgspec.Struct):
    state: str


class _Readiness(msgspec.Struct):
    checks: dict[str, str]
    #: By server_id: whether it can be served.
    servers: dict[str, bool] = {}
    #: Of an ingest; an older version does not say it.
    active: bool | None = None


async def dialogs(
    pods: Iterable[PodQuery], port: int = ADMIN_PORT, *, timeout_seconds: float = QUERY_SECONDS
) -> Answers[int]:
    """Return the number of each pod's open dialogs."""
    return await _query_all(pods, port, _open_dialogs, timeout_seconds)


async def failed_checks(
    pods: Iterable[PodQuery], port: int = ADMIN_PORT, *, timeout_seconds: float = QUERY_SECONDS
) -> Answers[str]:
    """Return each pod's failing readiness checks; a pod without any is left out."""
    found = await _query_all(pods, port, _failed_checks, timeout_seconds)
    return Answers({pod: text for pod, text in found.values.items() if text}, found.failures)


async def server_checks(
    pods: Iterable[PodQuery], port: int = ADMIN_PORT, *, timeout_seconds: float = QUERY_SECONDS
) -> Answers[dict[str, str]]:
    """Return the failing readiness checks of each server of a pod, '' of one without any."""
    return await _query_all(pods, port, _server_checks, timeout_seconds)


async def active(
    pods: Iterable[PodQuery], port: int = ADMIN_PORT, *, timeout_seconds: float = QUERY_SECONDS
) -> Answers[bool]:
    """Return whether each pod's ingest is active; a pod that does not say it is left out."""
    found = await _query_all(pods, port, _is_active, timeout_seconds)
    known = {pod: value for pod, value in found.values.items() if value is not None}
    return Answers(known, found.failures)


class _QueryError(Exception):
    """A query failed; the message is its reason."""


class _StatusError(_QueryError):
    """The answer has an unexpected HTTP status."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"GET {path} answered {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class _AdminClient:
    """The admin API of one pod."""

    session: aiohttp.ClientSession
    root: str
    #: Restricts the answers to one of several servers.
    server_id: str = ""

    async def get(
        self, path: str, form: type[T], statuses: Collection[int] = (HTTPStatus.OK,)
    ) -> T:
        """Return the decoded answer to a GET request.

        Raises:
            _QueryError: the answer has another status or form, or is too large.
            aiohttp.ClientError: there is no answer.
        """
        query = f"?server={self.server_id}" if self.server_id else ""
        async with self.session.get(self.root + path + query, allow_redirects=False) as answer:
            if answer.status not in statuses:
                raise _StatusError(path, answer.status)
            content = await bounded_body.read(answer, MAX_ANSWER_BYTES)
        if content is None:
            raise _QueryError(f"GET {path} answered more than {MAX_ANSWER_BYTES} bytes")
        try:
            return msgspec.json.decode(content, type=form)
        except UNDECODABLE as error:
            raise _QueryError(f"GET {path} answered in an unexpected form: {error}") from error


async def _open_dialogs(admin: _AdminClient) -> int:
    try:
        return (await admin.get("/dialogs/count", _DialogCount)).open
    except _StatusError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        if admin.server_id:  # Others know it: a pod that does not serve the server.
            return 0
    # An older version lists its dialogs and has no count.
    found = await admin.get("/dialogs", list[_ListedDialog])
    return sum(dialog.state != "ended" for dialog in found)


async def _readiness(admin: _AdminClient) -> _Readiness:
    statuses = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE
    return await admin.get("/readyz", _Readiness, statuses)


async def _is_active(admin: _AdminClient) -> bool | None:
    return (await _readiness(admin)).active


async def _failed_checks(admin: _AdminClient) -> str:
    checks = (await _readiness(admin)).checks
    return "; ".join(f"{name}: {text}" for name, text in checks.items() if text != "ok")


async def _server_checks(admin: _AdminClient) -> dict[str, str]:
    readiness = await _readiness(admin)
    return {
        server: "" if is_ready else _failed(readiness, server)
        for server, is_ready in readiness.servers.items()
    }


def _failed(readiness: _Readiness, server: str) -> str:
    """Return the failing checks of a server, which have its name before them if it has others."""
    prefix = f"{server}." if len(readiness.servers) > 1 else ""
    failed = [
        f"{name.removeprefix(prefix)}: {text}"
        for name, text in readiness.checks.items()
        if name.startswith(prefix) and text != "ok"
    ]
    return "; ".join(failed) or "it is not ready"


async def _query_all(
    pods: Iterable[PodQuery],
    port: int,
    query: Callable[[_AdminClient], Awaitable[T]],
    timeout_seconds: float,
) -> Answers[T]:
    slots = asyncio.Semaphore(MAX_CONCURRENT_QUERIES)
    answers: Answers[T] = Answers({}, {})

    async def run(session: aiohttp.ClientSession, pod: PodQuery) -> None:
        name = pod.name
        async with slots:
            try:
                admin = _AdminClient(session, _root(pod.pod, port), pod.server_id)
                answers.values[name] = await _run(admin, query, timeout_seconds)
            except _QueryError as error:
                answers.failures[name] = str(error)

    # A compressed answer could expand without bound.
    uncompressed = {"Accept-Encoding": "identity"}
    async with (
        aiohttp.ClientSession(headers=uncompressed, auto_decompress=False) as session,
        asyncio.TaskGroup() as tasks,
    ):
        for pod in pods:
            tasks.create_task(run(session, pod))
    return answers


def _root(pod: Object, port: int) -> str:
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}"


async def _run(
    admin: _AdminClient, query: Callable[[_AdminClient], Awaitable[T]], timeout_seconds: float
) -> T:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await query(admin)
    except TimeoutError:
        reason = f"no answer within {timeout_seconds:g} s"
    except OSError as error:
        reason = f"connection failed: {error.strerror or error}"
    except aiohttp.ClientError:
        reason = "the answer breaks off or is not HTTP"
    raise _QueryError(reason)
