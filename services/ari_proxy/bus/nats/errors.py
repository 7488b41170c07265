"""nats-py's errors, as those of the port."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import nats.errors

from ari_proxy.bus.errors import BusUnavailableError

LOST: Final = "the connection to NATS was lost"


@contextmanager
def port_errors() -> Iterator[None]:
    """Tell a lost connection in the port's terms around calls of nats-py.

    nats-py finds it lost some time before the bus does, and refuses to send until then.

    Raises:
        BusUnavailableError: in place of nats-py's errors.
    """
    try:
        yield
    except TimeoutError:  # Which is an OSError: the deadline of whoever calls.
        raise
    except (nats.errors.Error, OSError) as error:
        raise BusUnavailableError(LOST) from error
