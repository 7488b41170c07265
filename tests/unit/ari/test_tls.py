"""TLS to Asterisk; tests/integration/test_security.py has certificates that are refused."""

import ssl

import pytest

from ari_proxy.ari.tls import AriTls, TlsSource


class Renewed:
    """A source whose certificate has changed whenever it is asked."""

    def current(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def test_context_is_that_of_its_source_at_each_connection() -> None:
    tls = AriTls(Renewed(), "asterisk.example")
    first = tls.context()

    assert isinstance(first, ssl.SSLContext)
    assert tls.context() is not first
    assert tls.server_name == "asterisk.example"


class Unset:
    """A source without a certificate file."""

    def current(self) -> None:
        return None


@pytest.mark.parametrize("source", [None, Unset()])
async def test_without_certificates_the_systems_authorities_are_trusted(
    source: TlsSource | None,
) -> None:
    tls = AriTls(source)

    assert tls.context().verify_mode == ssl.CERT_REQUIRED
    assert tls.context() is tls.context()
    assert tls.server_name is None
    assert await tls.explained(ConnectionRefusedError(), "127.0.0.1", None) == ""
