"""What a nats-server with accounts wants: nkeys, and JWTs that are signed by them.

Format: docs.nats.io, "JWT Format" (decentralized authentication).
"""

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

import nkeys

_UNLIMITED = {"subs": -1, "data": -1, "payload": -1}


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Nkey:
    """A pair of keys."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode()

    def token(
        self,
        subject: "Nkey",
        name: str,
        kind: str,
        *,
        expires_at: float | None = None,
        **fields: Any,
    ) -> str:
        """Return a JWT that says who somebody is."""
        claims: dict[str, Any] = {
            "iat": 1767225600,
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {"type": kind, "version": 2, **fields},
        }
        if expires_at is not None:
            claims["exp"] = int(expires_at)
        digest = hashlib.sha256(json.dumps(claims).encode()).digest()
        claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
        header = {"typ": "JWT", "alg": "ed25519-nkey"}
        parts = [_encoded(json.dumps(part).encode()) for part in (header, claims)]
        signed = ".".join(parts)
        return f"{signed}.{_encoded(self._pair.sign(signed.encode()))}"


def user_key(seed_file: Path) -> str:
    """Write the seed of a new user; return its public key."""
    key = Nkey(nkeys.PREFIX_BYTE_USER)
    seed_file.write_bytes(key.seed)
    return key.public


class Operator:
    """An operator with one account and one user in it, for a server that trusts JWTs."""

    def __init__(self) -> None:
        operator = Nkey(nkeys.PREFIX_BYTE_OPERATOR)
        self._holder, self._user = Nkey(nkeys.PREFIX_BYTE_ACCOUNT), Nkey(nkeys.PREFIX_BYTE_USER)
        limits = {**_UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1}
        operator_token = operator.token(operator, "operator", "operator")
        account_token = operator.token(self._holder, "account", "account", limits=limits)
        #: Of the server.
        self.configuration = (
            f"operator: {operator_token}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {self._holder.public}: {account_token} }}\n"
        )

    def write_credentials(self, file: Path, *, expires_at: float | None = None) -> None:
        """Write the user's credentials file, in one go; `expires_at` is Unix time."""
        token = self._holder.token(
            self._user, "user", "user", expires_at=expires_at, pub={}, sub={}, **_UNLIMITED
        )
        fresh = file.with_suffix(".fresh")
        fresh.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self._user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )
        fresh.replace(file)


def account(credentials_file: Path) -> str:
    """Write the credentials of a new user of a new account; return the server's configuration."""
    operator = Operator()
    operator.write_credentials(credentials_file)
    return operator.configuration
