import json
from pathlib import Path

import pytest

from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load
from ari_proxy.settings.servers import as_text

ORIGINAL = {
    "origin": "http://localhost/",
    "server_id": "server-1",
    "applications": ["demo", "voicemail"],
    "websocket_url": "ws://asterisk:8088/ari/events",
    "stasis_url": "http://asterisk:8088/ari",
    "ws_user": "ari",
    "ws_password": "hush",
    "message_bus": "NATS",
    "bus_config": {"url": "nats://bus:shh@one:4222,nats://two:4222", "queue": "ariq"},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(ORIGINAL))
    return path


def test_original_configuration_works_unchanged(config: Path) -> None:
    settings = load(config)

    assert settings.server_id == "server-1"
    assert settings.applications == ("demo", "voicemail")
    assert settings.ari.rest_url == "http://asterisk:8088/ari"
    assert settings.ari.password.get_secret_value() == "hush"
    assert settings.bus.urls == ("nats://one:4222", "nats://two:4222")
    assert (settings.bus.user, settings.bus.password.get_secret_value()) == ("bus", "shh")
    assert settings.bus.queue == "ariq"


def test_empty_queue_of_the_original_becomes_a_group_of_our_own(config: Path) -> None:
    config.write_text(json.dumps(ORIGINAL | {"bus_config": {"url": "nats://x:1", "queue": ""}}))

    assert load(config).bus.queue == "ari-proxy"


def test_original_configuration_of_rabbitmq_works_unchanged(config: Path) -> None:
    bus = {"url": "amqp://bus:s%40h@one:5672/voice,amqp://two", "queue": "ariq"}
    config.write_text(json.dumps(ORIGINAL | {"message_bus": "RABBITMQ", "bus_config": bus}))

    settings = load(config)

    assert settings.bus.kind == "RABBITMQ"
    assert settings.bus.urls == ("amqp://one:5672/voice", "amqp://two")
    assert (settings.bus.user, settings.bus.password.get_secret_value()) == ("bus", "s@h")


def test_rabbitmq_is_looked_for_on_its_own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARI_PROXY_BUS__KIND", "RABBITMQ")

    assert load().bus.urls == ("amqp://127.0.0.1:5672",)


def test_environment_wins_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARI_PROXY_SERVER_ID", "server-2")
    monkeypatch.setenv("ARI_PROXY_ARI__USER", "other")

    settings = load(config)

    assert (settings.server_id, settings.ari.user) == ("server-2", "other")
    assert settings.ari.password.get_secret_value() == "hush"


def test_environment_wins_over_the_file_in_any_case_of_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"Ari": {"user": "u"}, "Server_ID": "file"}')
    monkeypatch.setenv("ARI_PROXY_ARI__PASSWORD", "s")
    monkeypatch.setenv("ARI_PROXY_SERVER_ID", "environment")

    settings = load(file)

    assert settings.server_id == "environment"
    assert (settings.ari.user, settings.ari.password.get_secret_value()) == ("u", "s")


def test_command_line_wins_over_the_file_in_any_case_of_its_keys(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"Bus": {"kind": "RABBITMQ", "urls": ["amqp://x"]}}')

    assert load(file, bus={"kind": "NATS", "urls": ["nats://x"]}).bus.kind == "NATS"


@pytest.mark.parametrize(
    "key", ["_env_file", "_secrets_dir", "_cli_parse_args", "_build_sources", "__pydantic_self__"]
)
def test_what_pydantic_calls_its_arguments_is_no_setting(tmp_path: Path, key: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({key: 1}))

    with pytest.raises(SettingsError, match="there is no such setting"):
        load(file)


def test_effective_settings_show_no_secret(config: Path) -> None:
    text = as_text([load(config)]) + repr(load(config))

    assert "hush" not in text
    assert "shh" not in text


@pytest.mark.parametrize(
    ("change", "place", "allowed"),
    [
        ({"message_bus": "KAFKA"}, "bus.kind (message_bus of ", "'NATS'"),
        ({"bus_config": {"url": "amqp://x"}}, "bus.urls (bus_config.url of ", "nats://, tls://"),
        ({"server_id": "a.b"}, "server_id", "dot"),
        ({"server_id": "a&b"}, "server_id", "write 'a-b'"),
        ({"applications": []}, "applications", "at least 1"),
        ({"applications": ["a b"]}, "applications.0", "white space"),
        ({"websocket_url": "http://x"}, "ari.websocket_url", "ws://, wss://"),
        ({"websocket_url": "ws:///ari/events"}, "ari.websocket_url", "with a host"),
        ({"websocket_url": "ws://x:y/ari/events"}, "ari.websocket_url", "port"),
        ({"stasis_url": "http://u:p@x/ari"}, "ari.rest_url", "credentials"),
        ({"ws_password": "", "ari": {"connection": "outbound"}}, "ari (", "that Asterisk presents"),
        ({"ari": {"listen": "8089"}}, "ari.listen", "HOST:PORT, like 0.0.0.0:8089"),
        ({"ari": {"listen": "::1:8089"}}, "ari.listen", "[::]:8089"),
        ({"ari": {"listen": "x:70000"}}, "ari.listen", "HOST:PORT"),
        ({"ari": {"listen_key_file": "/k"}}, "ari (", "needs ari.listen_certificate_file"),
        ({"ari": {"listen_client_ca_file": "/c"}}, "ari (", "needs ari.listen_certificate_file"),
        ({"ari": {"max_connections": 0}}, "ari.max_connections", "greater than or equal to 1"),
        ({"command": {"deny": ["BREW /x"]}}, "command.deny.0", "GET, POST, PUT, DELETE"),
        (
            {"ingest": {"no_listener": "cry"}},
            "ingest.no_listener",
            "'continue', 'hangup' or 'keep'",
        ),
        ({"bus": {"kind": "NATS", "dialog_ids": "uuid"}}, "bus.dialog_ids", "needs RabbitMQ"),
        ({"bus_config": {"url": ["nats://x"]}}, "bus.urls (bus_config.url of ", "must be text"),
        ({"bus_config": {"url": "nats://u:a#b@x"}}, "bus.urls (bus_config.url of ", "# as %23"),
        ({"bus_config": []}, "bus_config", "an object with url and queue"),
        ({"applications": "a,b"}, "applications (", '["a", "b"]'),
        ({"applications": ["a,b"]}, "applications.0", 'write ["a", "b"]'),
        ({"websocket_url": "ws://x/ari/events?api_key=ari:hush"}, "ari.websocket_url", "query"),
        ({"admin": {"prot": 1}}, "admin.prot", "did you mean admin.port?"),
        ({"lease": {"api_url": "https://u:hush@k"}}, "lease.api_url", "credentials"),
        ({"traces": {"endpoint": "https://u:hush@k"}}, "traces.endpoint", "credentials"),
        ({"traces": {"endpoint": "collector:4318"}}, "traces.endpoint", "http://, https://"),
        (
            {"message_bus": "RABBITMQ", "bus_config": {"url": "nats://x"}},
            "bus.urls (bus_config.url of ",
            "amqp://, amqps://",
        ),
        (
            {
                "message_bus": "RABBITMQ",
                "bus_config": {"url": "amqp://x"},
                "applications": ["events_x"],
            },
            "applications: 'events_x'",
            "events_, commands_",
        ),
    ],
)
def test_bad_value_is_refused_with_its_place_and_what_is_allowed(
    config: Path, change: dict[str, object], place: str, allowed: str
) -> None:
    config.write_text(json.dumps(ORIGINAL | change))

    with pytest.raises(SettingsError) as caught:
        load(config)

    assert [problem for problem in caught.value.problems if place in problem and allowed in problem]
    assert str(config) in str(caught.value)
    assert "hush" not in str(caught.value)


def test_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARI_PROXY_BUS__KIND", "KAFKA")

    with pytest.raises(SettingsError, match="environment variable ARI_PROXY_BUS__KIND"):
        load()


@pytest.mark.parametrize(("text", "reason"), [("{", "not JSON"), ("[]", "JSON object")])
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    with pytest.raises(SettingsError, match=reason):
        load(path)


# The original's file as the original read it


def test_keys_of_the_original_may_have_any_case_and_the_last_one_wins(config: Path) -> None:
    text = json.dumps(ORIGINAL)
    text = text.replace('"ws_user"', '"WS_User"').replace('"bus_config"', '"Bus_Config"')
    text = text.replace('"url"', '"URL"').replace('"server_id"', '"SERVER_ID"')
    config.write_text(
        text.removesuffix("}")
        + ', "ws_user": "second", "WS_USER": "third", "ws_user": "last", "Ws_User": null}'
    )

    settings = load(config)

    assert settings.ari.user == "last"
    assert settings.server_id == "server-1"
    assert settings.bus.urls == ("nats://one:4222", "nats://two:4222")
    assert settings.warnings == ()


def test_null_is_the_default(config: Path) -> None:
    config.write_text(
        json.dumps({**dict.fromkeys(ORIGINAL), "bus_config": {"url": None, "queue": None}})
    )

    assert load(config).model_dump() == load().model_dump()


def test_bus_config_may_be_null(config: Path) -> None:
    config.write_text(json.dumps(ORIGINAL | {"bus_config": None}))

    assert load(config).bus.urls == load().bus.urls


def test_numbers_are_names_and_the_bus_is_known_in_any_case(config: Path) -> None:
    bus = {"url": "amqp://one", "queue": 5}
    numbers = {"server_id": 1, "ws_user": 100, "ws_password": 4711, "message_bus": "RabbitMQ"}
    config.write_text(json.dumps(ORIGINAL | numbers | {"bus_config": bus}))

    settings = load(config)

    assert (settings.server_id, settings.ari.user, settings.bus.queue) == ("1", "100", "5")
    assert settings.ari.password.get_secret_value() == "4711"
    assert settings.bus.kind == "RABBITMQ"


def test_unknown_keys_of_the_original_are_a_warning(config: Path) -> None:
    unknown = {"_comment": "x", "nats_addr": {"a": 1}, "ws_passwd": "x", "admin": {"port": 1}}
    bus = {"url": "nats://x", "que": "y", "ca_file": "/ca"}
    config.write_text(json.dumps(ORIGINAL | unknown | {"bus_config": bus}))

    settings = load(config)

    assert (settings.admin.port, settings.bus.ca_file) == (1, "/ca")
    ends = {
        "bus_config.que": "did you mean queue?",
        "_comment": "there is no such setting",
        "nats_addr": "there is no such setting",
        "ws_passwd": "did you mean ws_password?",
    }
    for warning, (key, end) in zip(settings.warnings, ends.items(), strict=True):
        assert warning.startswith(f"{config}: {key} is ignored")
        assert warning.endswith(end)


def test_list_of_nats_is_read_as_its_own_clients_read_it(config: Path) -> None:
    bus = {"url": " one:4222, two ,nats://three/,"}
    config.write_text(json.dumps(ORIGINAL | {"bus_config": bus}))

    assert load(config).bus.urls == ("nats://one:4222", "nats://two", "nats://three")


@pytest.mark.parametrize(
    ("change", "variable", "may_move"),
    [
        ({}, {}, True),
        ({"admin": {"host": "::1"}}, {}, True),
        ({}, {"ARI_PROXY_ADMIN__HOST": "0.0.0.0"}, True),
        ({"admin": {"port": 9797}}, {}, False),
        ({}, {"ARI_PROXY_ADMIN__PORT": "9797"}, False),
    ],
)
def test_admin_port_may_move_where_nobody_has_asked_for_it(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    variable: dict[str, str],
    may_move: bool,
) -> None:
    config.write_text(json.dumps(ORIGINAL | change))
    for name, value in variable.items():
        monkeypatch.setenv(name, value)

    assert load(config).admin_port_may_move is may_move


def test_admin_port_of_our_own_form_stays_where_it_is() -> None:
    assert not load().admin_port_may_move


def test_file_may_begin_with_a_byte_order_mark(config: Path) -> None:
    config.write_text(json.dumps(ORIGINAL), encoding="utf-8-sig")

    assert load(config).server_id == "server-1"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"application": ["a"]}, "did you mean applications?"),
        ({"admin": {"Port": 1}}, "did you mean admin.port?"),
        ({"rest_url": "http://a"}, "did you mean ari.rest_url?"),
        ({"ari": {"passwd": "hush"}}, "did you mean ari.password?"),
        ({"_comment": "hush"}, "_comment ("),
        ({"server_id": None}, "server_id ("),
        ({"server_id": 1}, "server_id ("),
        ({"bus": {"kind": "nats"}}, "'NATS' or 'RABBITMQ'"),
        ({"bus": "hush"}, "must be a JSON object"),
    ],
)
def test_our_own_form_is_strict_and_names_a_near_miss(
    tmp_path: Path, content: dict[str, object], line: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))

    with pytest.raises(SettingsError) as caught:
        load(path)

    (problem,) = caught.value.problems
    assert line in problem
    assert "hush" not in problem


def test_url_has_one_form_whatever_it_was_written_like() -> None:
    ari = {"websocket_url": "WSS://a/ari/events/", "rest_url": "HTTPS://a/ari/"}
    settings = load(
        ari=ari,
        bus={"urls": ("TLS://b/",)},
        lease={"api_url": "HTTPS://k"},
        traces={"endpoint": "HTTP://c/"},
    )

    assert settings.ari.websocket_url == "wss://a/ari/events"
    assert settings.ari.rest_url == "https://a/ari"
    assert settings.bus.urls == ("tls://b",)
    assert settings.lease.api_url == "https://k"
    assert settings.traces.endpoint == "http://c"
