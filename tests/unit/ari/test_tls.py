"""TLS to Asterisk; tests/integration/test_security.py has certificates that are refused."""

import ssl

from ari_proxy.ari.tls import AriTls


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


async def test_without_a_source_the_library_decides() -> None:
    tls = AriTls()

    assert (tls.context(), tls.server_name) == (None, None)
    assert await tls.explained(ConnectionRefusedError(), "127.0.0.1", None) == ""
