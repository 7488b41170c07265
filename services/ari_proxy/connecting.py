"""What connects an application to Asterisk: a bus, or ari-proxy within the process."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, NamedTuple

from .bus.base import Bus, opened
from .client.bus_at import BusAccess, bus_at
from .client.errors import Misconfigured

#: How the URL of an Asterisk begins.
_EMBEDDED: Final = ("ari://", "aris://")

#: The `server_id` of a proxy whose settings name none.
DEFAULT_SERVER: Final = "asterisk"


class Way(NamedTuple):
    """What connects an application to its Asterisk."""

    #: Connects to the bus around a block; one that is away is tried until it is there.
    connected: Callable[[], AbstractAsyncContextManager[Bus]]
    #: That places calls, unless another one is named.
    server: str


def way_to(url: str, name: str, access: BusAccess) -> Way:
    """Return what connects an application, by the URL of a bus or of an Asterisk.

    Raises:
        BusSettingsError: the URL of the bus, or what `access` says, can't be used.
        Misconfigured: the URL of an Asterisk can't be used, or what it needs is not installed.
    """
    if url.strip().lower().startswith(_EMBEDDED):
        return _embedded(url, name, access)
    connect = partial(bus_at, url, name=name, **access)
    connect()
    return Way(lambda: opened(connect()), DEFAULT_SERVER)


def _embedded(url: str, name: str, access: BusAccess) -> Way:
    try:
        from . import embedded  # noqa: PLC0415  needs the server's libraries
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "ari_proxy":
            raise  # A fault of ours.
        raise Misconfigured(
            f"ari:// needs {error.name}, which is not installed: pip install 'ari-proxy[server]'"
        ) from error
    settings = embedded.embedded_settings(url, name, **access)
    return Way(partial(embedded.embedded_bus, settings), settings.server_id)
