"""Credentials of a user of ari.conf, and where a client gets them."""

from typing import Protocol, Self

import aiohttp


class Credentials:
    """A user of ari.conf; its repr hides the password.

    It is a source of credentials that do not change.
    """

    __slots__ = ("authorization", "user")

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        #: The value of the Authorization header (RFC 7617).
        self.authorization = aiohttp.encode_basic_auth(user, password, encoding="utf-8")

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"

    def current(self) -> Self:
        """Return these."""
        return self

    def refused(self, credentials: "Credentials") -> bool:  # noqa: ARG002  there are no others
        """Return that there are no others to try."""
        return False


class CredentialSource(Protocol):
    """Where a client gets its credentials; they may change while the process runs."""

    def current(self) -> Credentials:
        """Return the credentials for the next request."""

    def refused(self, credentials: Credentials) -> bool:
        """Note that Asterisk refuses these; return whether there are others to try."""
