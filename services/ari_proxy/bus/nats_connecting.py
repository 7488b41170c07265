"""One connection to NATS: how it is made with nats-py, and ended."""

import asyncio
import contextlib
from typing import Final

import structlog
from nats.aio.client import Client

from .nats_options import NatsOptions

_log = structlog.get_logger()

CONNECT_SECONDS: Final = 5.0


async def connect(client: Client, options: NatsOptions) -> None:
    """Connect once, to one of the servers.

    Raises:
        OSError, TimeoutError, nats.errors.Error: none of them takes us.
        ValueError: the nkey's seed is none.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        await client.connect(
            servers=list(options.urls),
            name=options.name,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=int(CONNECT_SECONDS),
            error_cb=_log_error,
            user=options.user or None,
            password=options.password or None,
            token=options.token or None,
            user_credentials=options.credentials_file or None,
            nkeys_seed=options.nkey_seed_file or None,
            tls=options.tls,
            flush_timeout=CONNECT_SECONDS,
            # Topics are checked where they are made; this is the event path.
            skip_subject_validation=True,
        )


async def discard(client: Client | None) -> None:
    """Close a connection, in whatever state it is."""
    if client is None:
        return
    with contextlib.suppress(Exception):  # A dead socket may say anything on closing.
        async with asyncio.timeout(1):
            await client.close()


def address_of(client: Client) -> str:
    """Return where a connection goes, without credentials."""
    url = client.connected_url
    return f"{url.hostname}:{url.port}" if url else ""


async def _log_error(error: Exception) -> None:
    _log.debug("bus.error", bus="NATS", error=str(error) or type(error).__name__)
