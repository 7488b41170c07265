"""What `ari-proxy doctor` says of an account of NATS and its streams."""

from pathlib import Path

from ari_proxy.bus.base import opened
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.doctor import nats_streams, rights
from ari_proxy.settings.load import Settings, load
from tests.support.servers import NatsServer


async def said(server: NatsServer, **account: str) -> list[str]:
    settings: Settings = load(server_id="server-1", applications=("demo",))
    options = NatsOptions(urls=(server.url,), name="doctor", **account)  # type: ignore[arg-type]
    async with opened(NatsBus(options)) as bus:
        await bus.wait_connected()
        found = [str(finding) async for finding in rights.rights(settings, bus)]
        return found + [str(finding) async for finding in nats_streams.streams(settings, bus)]


def server_with(directory: Path, configuration: str, *options: str) -> NatsServer:
    file = directory / "nats.conf"
    file.write_text(configuration)
    server = NatsServer("-c", str(file), *options)
    server.start()
    return server


async def test_rights_that_a_service_lacks_are_named(tmp_path: Path) -> None:
    server = server_with(
        tmp_path,
        """authorization { users = [
        { user: none, password: p, permissions { publish: "_INBOX.>", subscribe: "_INBOX.>" } }
        { user: command, password: p, permissions {
          publish: [ "_INBOX.>", "responses_server-1", "responses_server-1.*",
                     "bindings_server-1", "owners_server-1", "copies_server-1" ]
          subscribe: [ "_INBOX.>", "commands_server-1", "commands_server-1.*",
                       "watching_server-1" ] } } ] }""",
    )
    try:
        none = await said(server, user="none", password="p")
        command = await said(server, user="command", password="p")
    finally:
        server.stop()

    assert [line.strip().startswith("FAULT") for line in none] == [True, True]
    assert "subscribe to commands_server-1.*, subscribe to commands_server-1\n" in none[1]
    assert "events_server-1.*" in none[0]
    assert "responses_server-1.*" in none[1]
    assert "warn  bus, rights of ingest" in command[0]
    assert "ok  bus, rights of command" in command[1]


async def test_streams_over_our_subjects_are_named(tmp_path: Path) -> None:
    server = server_with(tmp_path, "", "-js", "-sd", str(tmp_path / "streams"))
    try:
        async with opened(NatsBus(NatsOptions(urls=(server.url,), name="test"))) as bus:
            await bus.wait_connected()
            recorded = {"CALLS": "demo", "EVENTS": "events_server-1.*", "OTHER": "other"}
            for name, subject in recorded.items():
                stream = f'{{"name":"{name}","subjects":["{subject}"],"storage":"memory"}}'
                topic = f"$JS.API.STREAM.CREATE.{name}"
                answer = await bus.request(topic, stream.encode(), timeout_seconds=5)
                assert b'"error"' not in answer
        found = await said(server)
    finally:
        server.stop()

    assert sum("rights" in line for line in found) == 2
    streams = [line for line in found if "JetStream" in line]
    assert [line.strip().partition("\n")[0] for line in streams] == [
        "FAULT  bus, JetStream: stream CALLS records demo",
        "FAULT  bus, JetStream: stream EVENTS records events_server-1.*",
    ]
