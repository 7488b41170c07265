"""When the JWT of a credentials file expires."""

import base64
import math
from pathlib import Path

import pytest

from ari_proxy.bus.nats.account_files import UserToken, expiry_of
from tests.support.nats_accounts import Operator


def test_token_that_has_expired_is_named_with_its_time_and_a_later_one_is_new(
    tmp_path: Path,
) -> None:
    file, operator = tmp_path / "credentials", Operator()
    operator.write_credentials(file, expires_at=1_700_000_000)
    token = UserToken.of(str(file))

    assert token.problem_at(1_699_999_999) == ""
    assert token.problem_at(1_700_000_000) == (
        f"bus.credentials_file {file}: its JWT expired at 2023-11-14 22:13:20 UTC; write a new one "
        "there"
    )
    assert not token.is_renewed()
    for lasts_longer in (1_700_000_001, None):
        operator.write_credentials(file, expires_at=lasts_longer)
        assert token.is_renewed()
    file.write_bytes(file.read_bytes()[:40])
    assert not token.is_renewed()


def test_token_that_never_expires_has_no_problem_and_is_not_renewed(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    Operator().write_credentials(file)

    for token in (UserToken.of(str(file)), UserToken.of(""), UserToken.of(str(tmp_path / "none"))):
        assert token.problem_at(1e12) == ""
        assert not token.is_renewed()


@pytest.mark.parametrize("token", [b"", b"x", b"a.b.c", b"a.!!!.c", b"a.\xff.c"])
def test_what_is_no_token_has_no_expiry(token: bytes) -> None:
    assert expiry_of(token) is None


@pytest.mark.parametrize("claims", [b"{}", b'{"exp":0}'])
def test_token_without_an_expiry_never_expires(claims: bytes) -> None:
    assert expiry_of(b"a." + base64.urlsafe_b64encode(claims) + b".c") == math.inf
