"""Options that every bus has: servers, account, TLS."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypedDict

from ari_proxy.settings.urls import UrlError, bus_address, bus_urls

from .errors import BusSettingsError

#: Size of the outbound buffer while the bus is unreachable.
BUFFER_BYTES: Final = 64 * 1024 * 1024


class CommonOptions(TypedDict):
    """What whoever makes a bus says of either kind; the fields are those of `BusOptions`."""

    urls: tuple[str, ...]
    name: str
    buffer_bytes: int
    user: str
    password: str
    tls: ssl.SSLContext | None
    server_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """Servers of one cluster, account and TLS; secrets don't show in a repr.

    An account in the URLs is moved to its own fields, unless those are set.

    Raises:
        BusSettingsError: the URLs are not valid for this bus.
    """

    #: The bus that the URLs are for.
    kind: ClassVar[str]

    urls: tuple[str, ...]
    #: Name in the server's list of connections.
    name: str
    buffer_bytes: int = BUFFER_BYTES
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: For the servers whose URL asks for TLS.
    tls: ssl.SSLContext | None = None
    #: Name in the servers' certificate; '' for the host of the URL.
    server_name: str = ""
    #: Returns current options before each connection: secrets and certificates may change.
    renewed: Callable[[], Self] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Move the account out of the URLs."""
        given: object = self.urls  # One URL instead of several is an easy slip.
        try:
            address = bus_address(given if isinstance(given, str) else ",".join(self.urls))
            urls = bus_urls(self.kind, address.urls)
        except UrlError as error:
            raise BusSettingsError(f"the URL of {self.kind} {error}") from error
        object.__setattr__(self, "urls", urls)
        for name in ("user", "password", "token"):
            found = getattr(address, name)
            if found and not getattr(self, name, True):
                object.__setattr__(self, name, found)

    def current(self) -> Self:
        """Return the options for the next connection."""
        return self.renewed() if self.renewed is not None else self
