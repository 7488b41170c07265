"""TLS contexts made from settings, and certificates that change while the process runs."""

import os
from pathlib import Path

import pytest

from ari_proxy.connections.tls import ListenerTls, RotatingTls, server_context, tls_context
from ari_proxy.settings.ari import AriSettings
from ari_proxy.settings.bus import BusSettings
from ari_proxy.settings.errors import SettingsError
from tests.support.certificates import Certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def touch_later(file: Path) -> None:
    later = file.stat().st_mtime_ns + 1_000_000_000
    os.utime(file, ns=(later, later))


def test_certificates_are_read_again_when_they_change(certificates: Certificates) -> None:
    tls = RotatingTls("ari", AriSettings(**certificates.settings(with_client=True)))  # type: ignore[arg-type]  # Only texts are given.
    first = tls.current()
    assert tls.current() is first

    touch_later(certificates.client)
    second = tls.current()
    assert second is not first


def test_last_good_certificate_stays_in_force(certificates: Certificates) -> None:
    tls = RotatingTls("ari", AriSettings(**certificates.settings(with_client=True)))  # type: ignore[arg-type]  # Only texts are given.
    first = tls.current()
    certificates.client.write_text("half a certificate")
    touch_later(certificates.client)

    assert tls.current() is first


@pytest.mark.parametrize("content", ["nonsense", None])
def test_unusable_certificate_is_refused_at_the_start(
    certificates: Certificates, content: str | None
) -> None:
    if content is None:
        certificates.authority.unlink()
    else:
        certificates.authority.write_text(content)

    with pytest.raises(SettingsError, match=r"bus.*authority\.pem"):
        RotatingTls("bus", BusSettings(**certificates.settings(with_client=False)))  # type: ignore[arg-type]  # Only texts are given.


def test_without_files_the_library_decides() -> None:
    assert tls_context("bus", BusSettings()) is None


def test_listeners_certificate_is_read_again_when_it_changes(certificates: Certificates) -> None:
    settings = AriSettings(
        listen_certificate_file=str(certificates.server),
        listen_key_file=str(certificates.server_key),
    )
    tls = ListenerTls(settings)
    first = tls.current()

    touch_later(certificates.server_key)

    assert tls.current() is not first


def test_listeners_unusable_certificate_is_refused_at_the_start(certificates: Certificates) -> None:
    certificates.server_key.write_text("nonsense")
    settings = AriSettings(
        listen_certificate_file=str(certificates.server),
        listen_key_file=str(certificates.server_key),
    )

    with pytest.raises(SettingsError, match=r"ari: .*server\.pem, .*server-key\.pem can't be used"):
        server_context(settings)
