"""A real Asterisk opens its websockets over TLS, with the files that `asterisk-config` prints."""

from pathlib import Path

from structlog.testing import capture_logs

from tests.support import printed_files
from tests.support.calls import Calls, asterisk_client
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.running import LegacyClient, bus_client, running_proxy, settings_for, until
from tests.support.servers import NatsServer
from tests.support.ways import NOWHERE

RELOAD = "/asterisk/modules/res_websocket_client.so"


async def test_asterisk_is_served_over_tls_once_it_has_a_certificate(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    ari = {
        "connection": "outbound",
        "listen": f"localhost:{free_port()}",
        "listen_certificate_file": str(certificates.server),
        "listen_key_file": str(certificates.server_key),
        "listen_client_ca_file": str(certificates.authority),
    }
    settings = settings_for(
        nats_server,
        rest_url=f"http://{NOWHERE}",
        websocket_url="ws://127.0.0.1:9/ari/events",
        application="demo",
        ari=ari,
        command={"transport": "websocket", "websockets": 1},
    )
    printed = printed_files.asterisk(
        "22",
        tmp_path,
        {
            "/etc/asterisk/keys": str(keys_of_asterisk(certificates, tmp_path / "keys")),
            # Asterisk makes so many attempts before it looks for other options.
            "reconnect_attempts = 40": "reconnect_attempts = 1",
            "cert_file": ";cert_file",
        },
        *("--asterisk-version", "22.10.1"),
        ARI_PROXY_SERVER_ID=settings.server_id,
        ARI_PROXY_APPLICATIONS='["demo"]',
        ARI_PROXY_COMMAND__WEBSOCKETS="1",
        **{f"ARI_PROXY_ARI__{name.upper()}": value for name, value in ari.items()},
    )
    with printed as asterisk, capture_logs() as logs:
        async with bus_client(settings) as bus, asterisk_client(asterisk) as rest:
            client = LegacyClient(bus, "demo")
            await client.start()
            async with running_proxy(settings):
                await until(lambda: [it for it in logs if it["event"] == "ari_listener.refused"])
                asterisk.configure("websocket_client.conf", {";cert_file": "cert_file"})
                await rest.request("PUT", RELOAD)
                (channel,) = await Calls(rest, "demo", client).place()
                dialog = client.starts[0]["dialog_id"]
                ended = await client.command(dialog, "DELETE", f"/channels/{channel}")
                await until(lambda: client.ends.get(dialog))

    refused = next(line for line in logs if line["event"] == "ari_listener.refused")
    assert (refused["reason"], refused["host"]) == ("handshake", "127.0.0.1")
    assert refused["error"].startswith("it has no certificate")
    assert ended["status_code"] == 204
    assert "StasisStart" in client.types(dialog)


def keys_of_asterisk(certificates: Certificates, keys: Path) -> Path:
    """Make the directory of certificates that the printed files name."""
    keys.mkdir()
    (keys / "ari-proxy-ca.crt").symlink_to(certificates.authority)
    (keys / "asterisk.crt").symlink_to(certificates.client)
    (keys / "asterisk.key").symlink_to(certificates.client_key)
    return keys
