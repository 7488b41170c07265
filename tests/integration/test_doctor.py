"""`ari-proxy doctor` on real servers, well and ill."""

import json
import re
import socket
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support import printed_files
from tests.support.ports import free_port
from tests.support.process import environment_of, running
from tests.support.running import settings_for
from tests.support.scripted_asterisk import scripted_asterisk
from tests.support.servers import PASSWORD, Asterisk, BusServer, NatsServer
from tests.support.shared_process import server_at

#: Nothing listens there.
NOWHERE = "http://127.0.0.1:1/ari"


async def examined(directory: Path, **environment: str) -> tuple[int, str]:
    """Run it; return its exit status and what it says."""
    async with running(directory / "log", "doctor", **environment) as process:
        code = await process.ended()
        return code, process.log


async def test_all_is_well(asterisk: Asterisk, bus_server: BusServer, tmp_path: Path) -> None:
    settings = settings_for(
        bus_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application="nobody-serves-this",
    )
    code, said = await examined(tmp_path, **environment_of(settings))

    assert code == 0, said
    assert f"Asterisk, REST: Asterisk {asterisk.version}." in said
    assert "may read and write" in said
    assert "websocket: open" in said
    assert "no client is connected for it" in said
    assert said.count("all granted") == 2
    assert "a reply takes" in said
    assert "FAULT" not in said
    has_features = asterisk.version == "22"
    assert ("not available" in said) is not has_features
    assert ("commands go on websockets" in said) is has_features
    assert not await asterisk_applications(asterisk)


async def asterisk_applications(asterisk: Asterisk) -> list[str]:
    """Return what it has left behind."""
    from tests.support.calls import asterisk_client  # noqa: PLC0415  beside its only user

    async with asterisk_client(asterisk) as rest:
        answer = await rest.request("GET", "/applications/ari-proxy-doctor")
        return [answer.body] if answer.status == 200 else []


async def test_wrong_password_is_found_and_not_shown(
    asterisk: Asterisk, nats_server: NatsServer, tmp_path: Path
) -> None:
    settings = settings_for(
        nats_server, rest_url=asterisk.url, websocket_url=asterisk.websocket_url, application="demo"
    )
    environment = environment_of(settings) | {"ARI_PROXY_ARI__PASSWORD": "not-the-right-one"}
    code, said = await examined(tmp_path, **environment)

    assert code == 1
    assert "FAULT  Asterisk, REST: 401" in said
    assert "FAULT  Asterisk, events websocket" in said
    assert "ari.conf" in said
    assert "not-the-right-one" not in said


@pytest.mark.parametrize("kind", ["NATS", "RABBITMQ"])
async def test_nothing_is_there(tmp_path: Path, kind: str) -> None:
    scheme = {"NATS": "nats", "RABBITMQ": "amqp"}[kind]
    environment = {
        "ARI_PROXY_ARI__REST_URL": f"http://127.0.0.1:{free_port()}/ari",
        "ARI_PROXY_ARI__WEBSOCKET_URL": f"ws://127.0.0.1:{free_port()}/ari/events",
        "ARI_PROXY_BUS__KIND": kind,
        "ARI_PROXY_BUS__URLS": f'["{scheme}://127.0.0.1:{free_port()}"]',
    }
    code, said = await examined(tmp_path, **environment)

    assert code == 1
    assert said.count("FAULT") == 3
    assert f"bus, {kind}: no connection" in said
    assert "Traceback" not in said


async def test_user_who_may_only_read_and_served_application(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.answer("GET", "/asterisk/info", 200, '{"system": {"version": "22.10.1"}}')
        asterisk.answer("DELETE", "/channels/ari-proxy-doctor", 403, "{}")
        asterisk.answer("GET", "/applications/demo", 200, "{}")
        settings = settings_for(
            nats_server,
            rest_url=asterisk.url,
            websocket_url=asterisk.websocket_url,
            application="demo",
        )
        code, said = await examined(tmp_path, **environment_of(settings))

    assert code == 1
    assert "may only read" in said
    assert "a client is connected for it" in said


async def test_asterisk_that_connects_is_compared_with_the_settings(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    outbound = {
        "ARI_PROXY_APPLICATIONS": '["demo"]',
        "ARI_PROXY_ARI__CONNECTION": "outbound",
        "ARI_PROXY_ARI__LISTEN": f"127.0.0.1:{free_port()}",
    }
    with printed_files.asterisk("22", tmp_path, **outbound) as server:
        reached = {"rest_url": server.url, "websocket_url": server.websocket_url}
        settings = settings_for(nats_server, application="demo", **reached)
        environment = environment_of(settings)
        well = environment | outbound | {"ARI_PROXY_SERVER_ID": "asterisk"}
        code, said = await examined(tmp_path, **well)

        assert code == 0, said
        assert f"{outbound['ARI_PROXY_ARI__LISTEN']}: free" in said
        assert "application demo: registered" in said
        assert "its sections fit these settings" in said
        assert "4 of 4 are configured" in said
        assert "fault asterisk#1979" in said

        code, said = await examined(tmp_path, **(well | {"ARI_PROXY_SERVER_ID": "other"}))

        assert code == 1
        assert "uri leads to /asterisk/events, not to /other/events" in said

        code, said = await examined(tmp_path, **environment)

        assert "Asterisk opens one for demo itself" in said
        assert PASSWORD not in said


async def test_listening_address_and_its_certificate_are_checked(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("none")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_for(
            nats_server,
            rest_url=NOWHERE,
            websocket_url=NOWHERE.replace("http", "ws"),
            application="demo",
        )
        environment = environment_of(settings) | {
            "ARI_PROXY_ARI__CONNECTION": "outbound",
            "ARI_PROXY_ARI__LISTEN": f"127.0.0.1:{taken.getsockname()[1]}",
            "ARI_PROXY_COMMAND__TRANSPORT": "websocket",
        }
        code, said = await examined(tmp_path, **environment)

        assert code == 0, said
        assert "another process listens there" in said
        assert "Asterisk, REST: not asked" in said

        environment["ARI_PROXY_ARI__LISTEN_CERTIFICATE_FILE"] = str(certificate)
        code, said = await examined(tmp_path, **environment)

        assert code == 1
        assert str(certificate) in said


async def test_bad_settings_are_told_as_elsewhere(tmp_path: Path) -> None:
    code, said = await examined(tmp_path, ARI_PROXY_BUS__KIND="KAFKA")

    assert code == 2
    assert "bus.kind" in said


async def test_each_server_is_examined_whatever_is_wrong_with_the_others(
    bus_server: BusServer, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    async with scripted_asterisk() as asterisk, scripted_asterisk() as locked:
        settings = settings_for(
            bus_server,
            rest_url=asterisk.url,
            websocket_url=asterisk.websocket_url,
            application="demo",
        )
        servers = [
            server_at("asterisk-1", locked.url, password_file=str(missing)),
            server_at("other", NOWHERE),
            server_at("server-1", asterisk.url),
        ]
        environment = environment_of(settings) | {"ARI_PROXY_SERVERS": json.dumps(servers)}
        del environment["ARI_PROXY_SERVER_ID"]
        code, said = await examined(tmp_path, **environment)

    assert code == 1, said
    names = [server["server_id"] for server in servers]
    heads = [line for line in said.splitlines() if line.endswith(":")]
    assert heads == [f"{name}:" for name in names], said
    of_missing, of_away, of_healthy = re.split(r"^(?:\w|-)+:$", said, flags=re.MULTILINE)[1:]
    assert f"FAULT  Asterisk, settings: ari.password_file {missing}" in of_missing
    assert "FAULT  Asterisk, REST" in of_away
    assert "websocket: open" in of_healthy
    for found in (of_missing, of_away, of_healthy):
        assert f"bus, {bus_server.kind}: connected" in found


async def test_redirection_is_not_followed(nats_server: NatsServer, tmp_path: Path) -> None:
    """Where Asterisk's URL leads to somebody else, the doctor does not ask that one."""
    reached: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    async def asterisk(_: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://127.0.0.1:{other.port}/elsewhere")

    application, redirected = web.Application(), web.Application()
    application.router.add_route("*", "/{path:.*}", asterisk)
    redirected.router.add_route("*", "/{path:.*}", elsewhere)
    async with TestServer(redirected) as other, TestServer(application) as server:
        settings = settings_for(
            nats_server,
            rest_url=f"http://127.0.0.1:{server.port}/ari",
            websocket_url=f"ws://127.0.0.1:{server.port}/ari/events",
            application="demo",
        )
        await examined(tmp_path, **environment_of(settings))

    assert reached == []
