"""The files of a NATS account, checked before nats-py reads them.

With a credentials file that has no JWT nats-py never stops reading, and blocks the event loop; on a
malformed seed it raises an error outside its own hierarchy.
"""

import base64
import contextlib
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.protocol.malformed import UNDECODABLE

#: docs.nats.io, "Credentials Files": between two lines of hyphens each.
_TOKEN: Final = re.compile(rb"BEGIN NATS USER JWT.*\n(\S+)")
_SEED: Final = re.compile(rb"BEGIN USER NKEY SEED.*\n(.*)\n")


class _Claims(msgspec.Struct):
    exp: float = math.inf


_claims: Final = msgspec.json.Decoder(_Claims)


class UserToken(NamedTuple):
    """The JWT of a credentials file, with which a connection logs in."""

    credentials_file: str = ""
    #: Unix time, infinite if it never expires; None if the file has no JWT that can be read.
    expires_at: float | None = None

    @classmethod
    def of(cls, credentials_file: str) -> "UserToken":
        """Return what a file holds."""
        found = None
        if credentials_file:
            with contextlib.suppress(BusSettingsError):
                found = _TOKEN.search(_content(credentials_file, Path(credentials_file)))
        return cls(credentials_file, expiry_of(found[1]) if found else None)

    def is_renewed(self) -> bool:
        """Return whether the file holds one by now that lasts longer."""
        if self.expires_at is None or self.expires_at == math.inf:
            return False
        now = UserToken.of(self.credentials_file)
        return now.expires_at is not None and now.expires_at > self.expires_at

    def problem_at(self, now: float) -> str:
        """Return that it has expired, and what to do, or ''."""
        if self.expires_at is None or self.expires_at > now:
            return ""
        then = datetime.fromtimestamp(self.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            f"bus.credentials_file {self.credentials_file}: its JWT expired at {then}; write a new "
            "one there"
        )


NO_TOKEN: Final = UserToken()


def expiry_of(token: bytes) -> float | None:
    """Return the Unix time at which a JWT expires (RFC 7519, `exp`); None if it is none.

    It is infinite if the JWT never expires; as nsc writes it, if it is 0, too.
    """
    claims = token.split(b".")[1:2]
    if not claims:
        return None
    try:
        return _claims.decode(base64.urlsafe_b64decode(claims[0] + b"==")).exp or math.inf
    except (*UNDECODABLE, ValueError):
        return None


def check_account_files(credentials_file: str, nkey_seed_file: str) -> None:
    """Check the files of an account; '' is no file.

    Raises:
        BusSettingsError: a file is malformed; names setting and file, none of its content.
    """
    if credentials_file:
        _check_credentials(f"bus.credentials_file {credentials_file}", Path(credentials_file))
    if nkey_seed_file:
        place = f"bus.nkey_seed_file {nkey_seed_file}"
        _check_seed(place, _content(place, Path(nkey_seed_file)).strip())


def _check_credentials(place: str, file: Path) -> None:
    content = _content(place, file)
    if not _TOKEN.search(content):
        raise BusSettingsError(f"{place}: it has no user's JWT; write the file that `nsc` makes")
    seed = _SEED.search(content)
    if seed is None:
        raise BusSettingsError(f"{place}: it has no user's seed; write the file that `nsc` makes")
    _check_seed(place, seed[1])


def _check_seed(place: str, seed: bytes) -> None:
    import nkeys  # noqa: PLC0415  libsodium, for logins with a seed only

    try:
        nkeys.from_seed(bytearray(seed)).wipe()
    except (nkeys.NkeysError, ValueError):
        problem = "its seed is none of an nkey: 58 characters that begin with SU"
    else:
        return
    raise BusSettingsError(f"{place}: {problem}")


def _content(place: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BusSettingsError(f"{place}: {error.strerror}") from error
