"""nats-py's errors, translated to those of the port."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import nats.errors

from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError

LOST: Final = "the connection to NATS was lost"


class DisconnectedError(Exception):
    """The connection is lost or of no use; ends the tasks that serve it."""


@contextmanager
def port_errors() -> Iterator[None]:
    """Translate nats-py's errors about a lost connection around calls of it.

    nats-py notices the loss some time before the bus does, and refuses to send until then.

    Raises:
        BusUnavailableError: in place of nats-py's errors.
    """
    try:
        yield
    except TimeoutError:  # Which is an OSError: the caller's deadline.
        raise
    except (nats.errors.Error, OSError) as error:
        raise BusUnavailableError(LOST) from error


@contextmanager
def ending_connection() -> Iterator[None]:
    """End the connection if the server does not answer or refuses what the bus cannot do without.

    Raises:
        DisconnectedError: in place of the port's errors and a timeout.
    """
    try:
        yield
    except (BusUnavailableError, BusRefusedError, TimeoutError) as error:
        raise DisconnectedError from error
