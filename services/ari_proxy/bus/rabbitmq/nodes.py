"""The nodes of RabbitMQ: which one is tried next, and why it can't be used."""

import itertools
import secrets
from typing import NamedTuple

from ari_proxy.certificate_names import CertificateNames

from . import topology
from .connection import Login
from .options import RabbitMqOptions


class Failure(NamedTuple):
    """Why there is no connection to a node."""

    reason: str
    #: Whether the node rejected us, or we did not trust its certificate.
    is_refusal: bool


class Nodes:
    """The nodes, one after another, starting with a random one."""

    def __init__(self, options: RabbitMqOptions) -> None:
        self._options = options
        #: Counts connection attempts.
        self._turns = itertools.count(secrets.randbelow(len(options.urls)))
        self._names = CertificateNames("bus")

    def __len__(self) -> int:
        return len(self._options.urls)

    def next_login(self) -> Login:
        """Return the login for the next node; credentials may have changed."""
        logins = list(self._options.current().logins())
        return logins[next(self._turns) % len(logins)]

    async def explained(self, error: Exception, login: Login) -> Failure:
        """Return why a connection has failed."""
        untrusted = await self._names.explained(error, (login.host, login.port), login.tls)
        reason = untrusted or str(error) or "no answer"
        return Failure(reason, bool(untrusted) or topology.is_login_refused(reason))
