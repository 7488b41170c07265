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


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Nkey:
    """A pair of keys."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode()

    def token(self, subject: "Nkey", name: str, kind: str, **fields: Any) -> str:
        """Return a JWT that says who somebody is."""
        claims: dict[str, Any] = {
            "iat": 1767225600,
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {"type": kind, "version": 2, **fields},
        }
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


def account(credentials_file: Path) -> str:
    """Write the credentials of a new user of a new account; return the server's configuration."""
    operator = Nkey(nkeys.PREFIX_BYTE_OPERATOR)
    holder, user = Nkey(nkeys.PREFIX_BYTE_ACCOUNT), Nkey(nkeys.PREFIX_BYTE_USER)
    unlimited = {"subs": -1, "data": -1, "payload": -1}
    limits = {**unlimited, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    operator_token = operator.token(operator, "operator", "operator")
    account_token = operator.token(holder, "account", "account", limits=limits)
    user_token = holder.token(user, "user", "user", pub={}, sub={}, **unlimited)
    credentials_file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    return (
        f"operator: {operator_token}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {holder.public}: {account_token} }}\n"
    )
