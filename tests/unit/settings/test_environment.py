"""Variables: lists, and names that are no setting."""

import pytest

from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load
from ari_proxy.settings.operator import load_operator


@pytest.mark.parametrize("text", ['["demo", "voicemail"]', "demo,voicemail", " demo , voicemail,"])
def test_list_is_json_or_has_commas(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARI_PROXY_APPLICATIONS", text)
    monkeypatch.setenv("ARI_PROXY_COMMAND__ALLOW", "GET /**")
    monkeypatch.setenv("ARI_PROXY_COMMAND__DENY", "* /asterisk/**,POST /channels")
    monkeypatch.setenv("ARI_PROXY_BUS__URLS", "one:4222,nats://two")
    policy = '{"demo": {"allow": ["GET /**"]}}'
    monkeypatch.setenv("ARI_PROXY_COMMAND__APPLICATIONS", policy)
    monkeypatch.setenv("ARI_PROXY_COMMAND__APPLICATIONS__VOICEMAIL__DENY", "* /**,* /x")

    settings = load()

    assert settings.applications == ("demo", "voicemail")
    assert settings.command.allow == ("GET /**",)
    assert settings.command.deny == ("* /asterisk/**", "POST /channels")
    assert settings.bus.urls == ("nats://one:4222", "nats://two")
    assert settings.command.applications["demo"].allow == ("GET /**",)
    assert settings.command.applications["voicemail"].deny == ("* /**", "* /x")


@pytest.mark.parametrize("text", ['["a"]', "a,b"])
def test_list_of_the_operator(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ARI_PROXY_NAMESPACES", text)

    assert load_operator().namespaces in {("a",), ("a", "b")}


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ARI_PROXY_APPLICATIONS", '["hush"', 'must be a list: ["a", "b"]'),
        ("ARI_PROXY_APPLICATIONS", "", "at least 1 item"),
        ("ARI_PROXY_BUS__URLS", "nats://u:hush@h", "settings of their own"),
        ("ARI_PROXY_BUS__URLS", "nats://u:hu#sh@h", "settings of their own"),
        ("ARI_PROXY_BUS__URLS", '["nats://u:hu,sh@h"]', "environment variable ARI_PROXY_BUS__URLS"),
        ("ARI_PROXY_APPLICATIONS", "[" * 10_000, "must be a list"),
        ("ARI_PROXY_BUS", "hush", "must be a JSON object"),
        ("ARI_PROXY_BUS", '{"password": "hush', "must be a JSON object"),
        ("ARI_PROXY_COMMAND__APPLICATIONS", "hush", "must be a JSON object"),
        ("ARI_PROXY_LEASE__API_URL", "https://u:hush@k", "credentials"),
    ],
)
def test_bad_value_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        load()

    (problem,) = caught.value.problems
    assert f"environment variable {name})" in problem
    assert line in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ARI_PROXY_APPLICATION", "ARI_PROXY_APPLICATIONS"),
        ("ARI_PROXY_AIR__PASSWORD", "ARI_PROXY_ARI__PASSWORD"),
        ("ARI_PROXY_BUS_URL", "ARI_PROXY_BUS__URLS"),
        ("ARI_PROXY_BUS__URL", "ARI_PROXY_BUS__URLS"),
        ("ARI_PROXY_ADMIN_PORT", "ARI_PROXY_ADMIN__PORT"),
        ("ari_proxy_admin_port", "ARI_PROXY_ADMIN__PORT"),
        ("ARI_PROXY_ZZZ", ""),
    ],
)
def test_variable_that_names_no_setting_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "hush")

    with pytest.raises(SettingsError) as caught:
        load()

    expected = f"environment variable {name}: there is no such setting"
    assert caught.value.problems == [expected + (f"; did you mean {meant}?" if meant else "")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ARI_PROXY_NAMESPACE", "ARI_PROXY_NAMESPACES"),
        ("ARI_PROXY_INGEST__IMAGE", "ARI_PROXY_INGEST_IMAGE"),
        ("ARI_PROXY_LOG_LEVEL", "ARI_PROXY_LOG__LEVEL"),
        ("ARI_PROXY_LOG__LEVELS", "ARI_PROXY_LOG__LEVEL"),
    ],
)
def test_variable_that_names_no_setting_of_the_operator_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "x")

    with pytest.raises(SettingsError, match=f"{name}: .*did you mean {meant}?"):
        load_operator()


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARI_PROXY_ADMIN_PORT", "1")
    monkeypatch.setenv("ARI_PROXY_ADMIN__PORT", "many")
    monkeypatch.setenv("ARI_PROXY_SERVER_ID", "a.b")

    with pytest.raises(SettingsError) as caught:
        load()

    assert len(caught.value.problems) == 3


def test_what_is_no_setting_but_has_its_reason_may_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kubernetes sets for Services, the command line's variable, and the tests' own."""
    for service in ("", "OPERATOR_", "ADMIN_", "MY_9797_"):
        address = "tcp://10.0.0.1:9797"
        for name, value in {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "9797",
            "SERVICE_PORT_ADMIN": "9797",
            "PORT": address,
            "PORT_9797_TCP": address,
            "PORT_9797_TCP_PROTO": "tcp",
            "PORT_9797_TCP_PORT": "9797",
            "PORT_9797_TCP_ADDR": "10.0.0.1",
        }.items():
            monkeypatch.setenv(f"ARI_PROXY_{service}{name}", value)
    monkeypatch.setenv("ARI_PROXY_CONFIG", "/etc/ari-proxy/config.json")
    monkeypatch.setenv("ARI_PROXY_REQUIRE", "nats")
    monkeypatch.setenv("ari_proxy_server_id", "lower-case")

    assert load().server_id == "lower-case"
    monkeypatch.delenv("ari_proxy_server_id")
    assert load_operator().workers == 4
