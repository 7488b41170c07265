"""Opening and closing of one connection to NATS, with nats-py."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import nats.errors
import structlog
from nats.aio.client import Client

from ari_proxy import certificate_errors
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.certificate_names import CertificateNames

from .account_files import UserToken, check_account_files
from .options import NatsOptions, NatsTuning
from .permissions import NatsPermissions
from .servers import Candidates, ClusterClient

_log = structlog.get_logger()

CLOSE_SECONDS: Final = 1.0
#: Between looks at the state of a connection.
LOOK_SECONDS: Final = 0.05
#: In the server's errors when it rejects an account.
_REFUSALS: Final = ("authorization violation", "authentication")

#: Called with the errors that nats-py reports on a connection.
OnError = Callable[[Exception], Awaitable[None]]


class ConnectFailure(NamedTuple):
    """Why an attempt to connect has failed."""

    reason: str
    #: Whether a server rejected us, or we did not trust its certificate.
    is_refusal: bool
    #: How many of the configured servers were tried.
    attempts: int = 1


async def attempt(
    options: NatsOptions,
    tuning: NatsTuning,
    permissions: NatsPermissions,
    names: CertificateNames,
    candidates: Candidates,
) -> ClusterClient | ConnectFailure:
    """Return a connection, or why there is none.

    Args:
        options: with the configured servers.
        tuning: the deadline.
        permissions: of our account; told of the errors that nats-py reports.
        names: explains certificate errors.
        candidates: more servers of the cluster.
    """
    client = ClusterClient(candidates, UserToken.of(options.credentials_file))
    errors: list[Exception] = []

    async def handle_error(error: Exception) -> None:
        errors.append(error)
        await permissions.handle_error(client, error)

    try:
        await connect(client, options, handle_error, seconds=tuning.connect_seconds)
    except (OSError, nats.errors.Error, TimeoutError, ValueError) as error:
        reasons = dict.fromkeys([*map(_reason, errors), _reason(error)])
        untrusted = await _untrusted(client, options, error, names)
        expired = _expiry(client)
        reason = untrusted or expired or _silence(client) or "; ".join(reasons)
        _log.warning("bus.refused", bus="NATS", urls=options.urls, error=reason)
        await discard(client)
        is_refusal = bool(expired) or any(map(_is_refusal, [*errors, error]))
        return ConnectFailure(reason, is_refusal, len(options.urls))
    except BaseException:
        await discard(client)
        raise
    return client


async def _untrusted(
    client: ClusterClient, options: NatsOptions, error: Exception, names: CertificateNames
) -> str:
    """Return the certificate error of the server that was tried last, or ''."""
    server = client.server
    if server is None:
        return ""
    greets = not options.tls_handshake_first
    return await names.explained(error, server, options.tls, greets=greets)


def _reason(error: Exception) -> str:
    return certificate_errors.explained(error, "bus") or str(error) or type(error).__name__


def _is_refusal(error: Exception) -> bool:
    is_untrusted = bool(certificate_errors.explained(error, "bus"))
    return is_untrusted or _is_login_refusal(str(error))


def _is_login_refusal(error: str) -> bool:
    """Return whether an error of the server rejects our account."""
    return any(words in error.lower() for words in _REFUSALS)


def _expiry(client: ClusterClient) -> str:
    """Return that the account of a connection has expired, or ''; only if a server has answered."""
    return client.token.problem_at(time.time()) if client._server_info else ""  # noqa: SLF001  nats-py has no public name for it


def loss(client: ClusterClient, cause: BaseException | None) -> ConnectFailure:
    """Return why a connection is lost, with what has ended it."""
    error = str(cause or client.last_error or "the connection was lost")
    expired = _expiry(client)
    is_refusal = bool(expired) or isinstance(cause, BusRefusedError) or _is_login_refusal(error)
    return ConnectFailure(expired or error, is_refusal)


def _silence(client: Client) -> str:
    """Return the likely reason why a server accepted the connection and sent nothing, or ''."""
    if not client._transport or client._server_info or client.options["tls_handshake_first"]:  # noqa: SLF001  nats-py has no public name for it
        return ""
    return (
        "the server accepts the connection and sends nothing: if it wants TLS first "
        "(tls { handshake_first: true }), set bus.tls_handshake_first"
    )


async def connect(
    client: Client,
    options: NatsOptions,
    on_error: OnError,
    *,
    seconds: float,
) -> None:
    """Connect once, to one of the servers.

    Raises:
        OSError, TimeoutError, nats.errors.Error: none of them accepts us.
        BusSettingsError: a file of the account is malformed.
    """
    check_account_files(options.credentials_file, options.nkey_seed_file)
    try:
        async with asyncio.timeout(seconds):
            await client.connect(
                servers=list(options.urls),
                name=options.name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                dont_randomize=True,  # It would undo the order of `ClusterClient`.
                reconnect_time_wait=0,
                connect_timeout=math.ceil(seconds),
                error_cb=on_error,
                user=options.user or None,
                password=options.password or None,
                token=options.token or None,
                user_credentials=options.credentials_file or None,
                nkeys_seed=options.nkey_seed_file or None,
                tls=options.tls,
                tls_hostname=options.server_name or None,
                tls_handshake_first=options.tls_handshake_first,
                flush_timeout=seconds,
                # Topics are checked where they are made; this is the event path.
                skip_subject_validation=True,
            )
    finally:
        if _is_cancelled():  # nats-py may have swallowed it.
            raise asyncio.CancelledError


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def discard(client: Client) -> None:
    """Close a connection in any state, even if cancelled meanwhile."""
    # In a task of its own: a cancellation would leave it half closed, with its socket open.
    closing = asyncio.create_task(_close(client))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing
        raise


async def _close(client: Client) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except Exception as error:  # noqa: BLE001  # A dead socket may raise anything.
        _log.debug("bus.closed", bus="NATS", error=str(error) or type(error).__name__)
    finally:
        if client._transport is not None:  # noqa: SLF001  # close() may have failed before.
            client._transport.close()  # type: ignore[no-untyped-call]  # noqa: SLF001  untyped


async def until_lost(client: Client) -> None:
    """Return when nats-py has found a connection dead."""
    while client.is_connected:  # noqa: ASYNC110  it reports that only after closing the socket
        await asyncio.sleep(LOOK_SECONDS)


def address_of(client: Client) -> str:
    """Return host and port of a connection's server."""
    url = client.connected_url
    return f"{url.hostname}:{url.port}" if url else ""
