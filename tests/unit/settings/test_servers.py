"""Several servers in one configuration: what each has of its own, and what it can't have."""

import json
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings, Sources
from ari_proxy.settings.process import RecorderSettings
from ari_proxy.settings.servers import as_text, load_servers

SHARED: dict[str, Any] = {
    "applications": ["ivr"],
    "ari": {"user": "proxy", "password": "hush", "max_connections": 8},
    "bus": {"urls": ["nats://bus:4222"]},
}


def at(host: str, **own: Any) -> dict[str, Any]:
    """Return the settings `ari` of a server at a host."""
    return {
        "websocket_url": f"ws://{host}:8088/ari/events",
        "rest_url": f"http://{host}:8088/ari",
        **own,
    }


def servers_of(path: Path, *servers: dict[str, Any], **shared: Any) -> tuple[Settings, ...]:
    """Load a file with these servers."""
    path.write_text(json.dumps({**SHARED, **shared, "servers": servers}))
    return load_servers(path)


def problems_of(path: Path, *servers: dict[str, Any], **shared: Any) -> list[str]:
    """Return what is said of a file that can't be used."""
    with pytest.raises(SettingsError) as raised:
        servers_of(path, *servers, **shared)
    return raised.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def test_without_servers_there_is_the_one_of_the_settings(file: Path) -> None:
    file.write_text(json.dumps(SHARED | {"server_id": "a"}))

    (server,) = load_servers(file)

    assert (server.server_id, server.ari.user) == ("a", "proxy")


def test_all_bad_values_of_the_one_server_are_shown(file: Path) -> None:
    file.write_text(json.dumps({"server_id": "a.b", "log": {"level": "loud"}}))

    with pytest.raises(SettingsError) as raised:
        load_servers(file)

    places = [problem.partition(" ")[0] for problem in raised.value.problems]
    assert places == ["server_id", "log.level"]


def test_each_server_has_its_own_settings_over_those_of_all(file: Path) -> None:
    first, second = servers_of(
        file,
        {"server_id": "a", "ari": at("one")},
        {
            "server_id": "b",
            "applications": ["voicemail"],
            "ari": at("two", user="other"),
            "ingest": {"no_listener": "hangup"},
            "command": {"scope": "dialog"},
        },
    )

    assert (first.server_id, first.applications) == ("a", ("ivr",))
    assert (first.ari.rest_url, first.ari.user) == ("http://one:8088/ari", "proxy")
    assert (first.ingest.no_listener, first.command.scope) == ("continue", "server")
    assert (second.server_id, second.applications) == ("b", ("voicemail",))
    assert (second.ari.rest_url, second.ari.user) == ("http://two:8088/ari", "other")
    assert (second.ingest.no_listener, second.command.scope) == ("hangup", "dialog")
    for server in (first, second):
        assert server.ari.max_connections == 8
        assert server.ari.password.get_secret_value() == "hush"
        assert server.bus.urls == ("nats://bus:4222",)


def test_environment_wins_over_the_file_but_not_over_what_a_server_has_of_its_own(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARI_PROXY_ARI__USER", "environment")

    first, second = servers_of(
        file,
        {"server_id": "a", "ari": at("one")},
        {"server_id": "b", "ari": at("two", user="own")},
    )

    assert (first.ari.user, second.ari.user) == ("environment", "own")


@pytest.mark.parametrize(
    ("size", "servers", "share"), [(2**20, 2, 2**19), (2**25, 1_000, 2**17), (2**16, 1, 2**16)]
)
def test_server_has_its_share_of_the_recorder(size: int, servers: int, share: int) -> None:
    assert RecorderSettings(bytes=size).bytes_of_each(servers) == share


def test_environment_may_name_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [{"server_id": name, "ari": at(name)} for name in ("a", "b")]
    monkeypatch.setenv("ARI_PROXY_SERVERS", json.dumps(servers))

    assert [server.server_id for server in load_servers()] == ["a", "b"]


def test_what_the_command_line_says_wins_over_all(file: Path) -> None:
    file.write_text(json.dumps(SHARED | {"servers": [{"server_id": "a"}]}))

    (server,) = load_servers(file, bus={"urls": ["nats://embedded:1"]})

    assert server.bus.urls == ("nats://embedded:1",)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        pytest.param([{}], "servers.0.server_id ({}): Field required", id="no name"),
        pytest.param(
            [{"server_id": "a b"}],
            "servers.0.server_id ({}): server_id 'a b' ",
            id="a name that is none",
        ),
        pytest.param(
            [{"server_id": "a"}, {"server_id": "b", "ari": {"rest_url": "ftp://x"}}],
            "servers.1.ari.rest_url ({}): ",
            id="a bad value",
        ),
        pytest.param(
            [{"server_id": "a", "ari": {"rest_ulr": "http://x"}}],
            "servers.0.ari.rest_ulr ({}): there is no such setting; did you mean ari.rest_url?",
            id="a misspelt name",
        ),
        pytest.param(
            [{"server_id": "a", "bus": {"kind": "NATS"}}],
            "servers.0.bus ({}): is a setting of the whole process: it stands beside `servers`",
            id="a group that all share",
        ),
        pytest.param([], "servers ({}): must have at least one server", id="none"),
        pytest.param("a", 'servers ({}): must be a list: ["a", "b"]', id="no list"),
        pytest.param(
            [{"server_id": "a", "applications": []}],
            "servers.0.applications ({}): Tuple should have at least 1 item",
            id="a server without an application",
        ),
    ],
)
def test_a_bad_value_is_shown_with_its_place(file: Path, servers: object, expected: str) -> None:
    file.write_text(json.dumps(SHARED | {"servers": servers}))

    with pytest.raises(SettingsError) as raised:
        load_servers(file)

    (problem,) = raised.value.problems
    assert problem.startswith(expected.format(file))


def test_a_bad_value_of_the_environment_is_shown_as_the_environments(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(json.dumps(SHARED))
    servers = [{"server_id": "a", "ari": {"rest_url": "ftp://x"}}]
    monkeypatch.setenv("ARI_PROXY_SERVERS", json.dumps(servers))

    with pytest.raises(SettingsError) as raised:
        load_servers(file)

    (problem,) = raised.value.problems
    assert problem.startswith(
        "servers.0.ari.rest_url (environment variable ARI_PROXY_SERVERS): must "
    )


def test_all_bad_values_of_all_servers_are_shown(file: Path) -> None:
    found = problems_of(
        file,
        {"server_id": "a", "ari": {"rest_url": "x", "user": 1}},
        {"server_id": "b", "ari": {"max_connections": 0}},
    )

    places = [problem.partition(" ")[0] for problem in found]
    assert places == [
        "servers.0.ari.rest_url",
        "servers.0.ari.user",
        "servers.1.ari.max_connections",
    ]


def test_a_bad_value_of_all_servers_is_shown_once(file: Path) -> None:
    servers = [{"server_id": name, "ari": at(name)} for name in ("a", "b")]

    (problem,) = problems_of(file, *servers, log={"level": "loud"})

    assert problem.startswith(f"log.level ({file}): ")


def test_the_name_of_one_server_is_refused_where_there_are_several(file: Path) -> None:
    (problem,) = problems_of(file, {"server_id": "a"}, server_id="b")

    assert problem == f"server_id ({file}): each of `servers` has its own; leave this one out"


def test_go_ari_proxys_form_has_one_server(file: Path) -> None:
    (problem,) = problems_of(file, {"server_id": "a"}, ws_user="ari")

    assert problem.startswith(f"servers ({file}): goes only with ari-proxy's own form")


def test_what_is_whole_only_with_what_a_server_adds_may_stand_beside_the_servers(
    file: Path,
) -> None:
    servers = servers_of(
        file,
        {"server_id": "a", "lease": {"file": "/run/a"}, "ari": {"password": "of-a"}},
        {"server_id": "b", "lease": {"file": "/run/b"}, "ari": {"password": "of-b"}},
        lease={"kind": "file"},
        ari=OUTBOUND,
    )

    assert [server.lease.file for server in servers] == ["/run/a", "/run/b"]


def test_what_no_server_adds_is_missed_once(file: Path) -> None:
    (problem,) = problems_of(
        file, {"server_id": "a"}, {"server_id": "b"}, ari=OUTBOUND, applications=["ivr"]
    )

    assert problem.startswith(f"ari ({file}): outbound websockets need ari.password")


def test_what_one_server_does_not_add_is_missed_at_its_place(file: Path) -> None:
    (problem,) = problems_of(
        file,
        {"server_id": "a", "ari": at("one"), "lease": {"kind": "file", "file": "/run/a"}},
        {"server_id": "b", "ari": at("two"), "lease": {"kind": "file"}},
    )

    assert problem == f"servers.1.lease ({file}): a lease of the kind `file` needs lease.file"


LEASE = {"kind": "file", "file": "/run/lease"}
OUTBOUND = {"connection": "outbound"}


@pytest.mark.parametrize(
    ("second", "shared", "expected"),
    [
        pytest.param(
            {"server_id": "a", "ari": at("two")}, {}, "servers.1.server_id ({}): a", id="name"
        ),
        pytest.param(
            {"server_id": "b", "ari": at("one")},
            {},
            "servers.1.ari.websocket_url ({}): application ivr at ws://one:8088/ari/events",
            id="application",
        ),
        pytest.param(
            {"server_id": "b", "ari": at("two")},
            {"lease": LEASE},
            "servers.1.lease.file ({}): /run/lease",
            id="lock file",
        ),
        pytest.param(
            {"server_id": "b", "ari": at("two")},
            {"lease": {"kind": "kubernetes", "name": "lease"}},
            "servers.1.lease.name ({}): lease",
            id="Lease",
        ),
    ],
)
def test_two_servers_never_share_what_each_needs_for_itself(
    file: Path, second: dict[str, Any], shared: dict[str, Any], expected: str
) -> None:
    (problem,) = problems_of(file, {"server_id": "a", "ari": at("one")}, second, **shared)

    assert problem == f"{expected.format(file)} is that of servers.0 already"


def test_servers_at_one_asterisk_may_have_applications_of_their_own(file: Path) -> None:
    ari = at("one")

    found = servers_of(
        file,
        {"server_id": "a", "ari": ari},
        {"server_id": "b", "ari": ari, "applications": ["voicemail"]},
    )

    assert len(found) == 2


def test_servers_that_connect_to_us_may_share_an_address(file: Path) -> None:
    found = servers_of(file, {"server_id": "a"}, {"server_id": "b"}, ari=SHARED["ari"] | OUTBOUND)

    assert len(found) == 2


def test_one_address_has_one_certificate(file: Path) -> None:
    (problem,) = problems_of(
        file,
        {"server_id": "a", "ari": OUTBOUND},
        {"server_id": "b", "ari": OUTBOUND | {"listen_certificate_file": "/b.pem"}},
    )

    assert problem == (
        f"servers.1.ari.listen ({file}): servers.0 listens at [::]:8089 too, with other "
        "certificates: give both the same ari.listen_… files, or each an address"
    )


def test_a_servers_name_that_is_no_leases_is_refused_at_its_place(file: Path) -> None:
    (problem,) = problems_of(file, {"server_id": "A"}, lease={"kind": "kubernetes"})

    assert problem.startswith(f"servers.0 ({file}): lease.name: must be given")


def test_effective_settings_of_several_servers_can_be_loaded_again(file: Path) -> None:
    servers = servers_of(
        file,
        {"server_id": "a", "ari": at("one", password="of-a")},
        {"server_id": "b", "ari": at("two")},
    )
    text = as_text(servers)
    shown = json.loads(text)

    assert "of-a" not in text
    assert "hush" not in text
    assert [server["server_id"] for server in shown["servers"]] == ["a", "b"]
    assert shown["servers"][1]["ari"]["rest_url"] == "http://two:8088/ari"
    assert "ari" not in shown
    file.write_text(text)
    assert [server.ari.rest_url for server in load_servers(file)] == [
        "http://one:8088/ari",
        "http://two:8088/ari",
    ]


def test_no_secret_of_a_server_shows_in_a_repr(file: Path) -> None:
    servers = servers_of(file, {"server_id": "a", "ari": at("one", password="of-a")})

    assert "of-a" not in repr(servers)
    assert "of-a" not in repr(Sources.read(file, {}).servers())
