"""An application's bus by its URL, on real servers: accounts and certificates."""

from pathlib import Path
from typing import Any

import pytest

from ari_proxy.bus.base import opened
from ari_proxy.client.bus_at import bus_at
from tests.support import nats_accounts
from tests.support.certificates import Certificates
from tests.support.rabbitmq import RabbitMqServer
from tests.support.round_trip import nats_server, works


@pytest.mark.parametrize("with_client", [False, True], ids=["tls", "mtls"])
async def test_nats_with_certificates(tmp_path: Path, with_client: bool) -> None:
    certificates = Certificates(tmp_path)
    options = ["--tls", "--tlscert", str(certificates.server)]
    options += ["--tlskey", str(certificates.server_key)]
    if with_client:
        options += ["--tlsverify", "--tlscacert", str(certificates.authority)]
    files: dict[str, Any] = certificates.settings(with_client=with_client)
    with nats_server(*options) as server:
        url = f"tls://localhost:{server.port}"
        async with opened(bus_at(url, name="test", **files)) as bus:
            assert await works(bus)
        async with opened(bus_at(url, name="test")) as bus:
            assert "unknown authority" in await bus.wait_tried()


@pytest.mark.parametrize("kind", ["url", "keywords", "credentials", "nkey", "token"])
async def test_nats_with_an_account(tmp_path: Path, kind: str) -> None:
    file, config = tmp_path / "secret", tmp_path / "nats.conf"
    text = 'authorization { user: "ari", password: "hush#hush" }'
    if kind == "credentials":
        text = nats_accounts.account(file)
    elif kind == "nkey":
        text = f"authorization {{ users: [ {{ nkey: {nats_accounts.user_key(file)} }} ] }}"
    elif kind == "token":
        text = 'authorization { token: "hush#hush" }'
    config.write_text(text)
    keywords: dict[str, dict[str, Any]] = {
        "url": {},
        "keywords": {"user": "ari", "password": "hush#hush"},
        "credentials": {"credentials_file": str(file)},
        "nkey": {"nkey_seed_file": str(file)},
        "token": {"token": "hush#hush"},
    }
    with nats_server("-c", str(config)) as server:
        account = "ari:hush%23hush@" if kind == "url" else ""
        url = server.url.replace("//", f"//{account}")
        async with opened(bus_at(url, name="test", **keywords[kind])) as bus:
            assert await works(bus)
            assert "hush" not in repr(bus)
        async with opened(bus_at(server.url, name="test")) as bus:
            assert "hush" not in await bus.wait_tried()
            assert not bus.is_connected


async def test_rabbitmq_with_certificates(rabbitmq_server: RabbitMqServer) -> None:
    files: dict[str, Any] = rabbitmq_server.certificates.settings(with_client=True)
    async with opened(bus_at(rabbitmq_server.tls_url, name="test", **files)) as bus:
        assert await works(bus)
    async with opened(bus_at(rabbitmq_server.tls_url, name="test")) as bus:
        assert "unknown authority" in await bus.wait_tried()
