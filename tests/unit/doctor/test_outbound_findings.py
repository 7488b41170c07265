"""What doctor says of an Asterisk that opens the websockets."""

import json
from dataclasses import replace

import pytest

from ari_proxy.doctor import outbound_findings as found_of
from ari_proxy.doctor.findings import Finding, exit_code
from ari_proxy.doctor.outbound_findings import WantedWebsockets

WANTED = WantedWebsockets(
    server_id="pbx",
    applications=("demo", "menu"),
    user="ari",
    password="hush-a-bye",
    websockets=2,
    is_encrypted=False,
)
OUTBOUND = {"apps": "menu, demo", "websocket_client_id": "ari-proxy-events"}
CLIENT = {
    "uri": "ws://proxy:8089/pbx/events",
    "connection_type": "persistent",
    "protocols": "ari",
    "username": "ari",
    "password": "hush-a-bye",
    "tls_enabled": "no",
    "enable_pingpongs": "yes",
}


def told(
    outbound: dict[str, str] | None,
    client: dict[str, str] | None,
    wanted: WantedWebsockets = WANTED,
) -> list[Finding]:
    return [*found_of.of_sections(wanted, outbound, client, "22.11.0")]


def test_sections_that_fit_are_well() -> None:
    assert [finding.level for finding in told(OUTBOUND, CLIENT)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"uri": "ws://proxy:8089/other/events"}, "uri leads to /other/events, not to /pbx/events"),
        ({"connection_type": "per_call_config"}, "connection_type is not persistent"),
        ({"protocols": "media"}, "protocols is not ari"),
        ({"username": "bob"}, "username is not ari.user, ari"),
        ({"password": "wrong-word"}, "password is not ari.password"),
        ({"uri": "wss://proxy:8089/pbx/events"}, "tls_enabled is not yes"),
    ],
)
def test_section_that_does_not_fit_is_a_fault(changed: dict[str, str], said: str) -> None:
    fault, *_ = told(OUTBOUND, CLIENT | changed)

    assert fault.level == "fault"
    assert said in fault.found
    assert "hush" not in str(fault)
    assert "wrong" not in str(fault)


def test_other_applications_and_missing_encryption_are_faults() -> None:
    first, second, *_ = told({"apps": "demo"}, CLIENT, replace(WANTED, is_encrypted=True))

    assert first.found == "apps is demo, not demo,menu"
    assert "wss://" in second.found


@pytest.mark.parametrize(("outbound", "client"), [(None, CLIENT), (OUTBOUND, None)])
def test_sections_of_another_name_are_not_judged(
    outbound: dict[str, str] | None, client: dict[str, str] | None
) -> None:
    (finding,) = told(outbound, client)

    assert finding.level == "warning"
    assert "there is no section ari-proxy-events" in finding.found


@pytest.mark.parametrize(
    ("version", "said"),
    [("22.11.0", "does not look"), ("22.10.1", "only after minutes"), ("GIT", "does not look")],
)
def test_dead_connections_are_noticed_late_without_pings(version: str, said: str) -> None:
    client = CLIENT | {"enable_pingpongs": "no"}
    *_, last = found_of.of_sections(WANTED, OUTBOUND, client, version)

    assert last.level == "warning"
    assert said in last.found


def test_applications_without_a_websocket_are_named() -> None:
    registered = {"demo", "ari-proxy-command-1"}
    findings = [*found_of.of_applications(WANTED, registered)]

    assert [finding.level for finding in findings] == ["ok", "fault", "warning"]
    assert findings[2].found == "1 of 2 are configured"
    assert exit_code(findings) == 1
    assert len([*found_of.of_applications(replace(WANTED, websockets=0), registered)]) == 2


@pytest.mark.parametrize(
    ("version", "is_told"), [("16.28.0", True), ("22.4.2", True), ("22.5.0", False), ("", False)]
)
def test_version_without_outbound_websockets(version: str, *, is_told: bool) -> None:
    assert bool(found_of.of_version(version)) is is_told


@pytest.mark.parametrize(
    ("failure", "in_use", "level"),
    [("", False, "ok"), ("in use", True, "warning"), ("no such address", False, "fault")],
)
def test_address(failure: str, level: str, *, in_use: bool) -> None:
    assert found_of.of_listening("0.0.0.0:8089", failure, in_use=in_use).level == level


def test_section_is_read_from_pairs() -> None:
    body = json.dumps([{"attribute": "apps", "value": "demo"}])

    assert found_of.section(200, body) == {"apps": "demo"}
    assert found_of.section(404, body) is None
    assert found_of.section(200, "[1]") is None
    assert found_of.section(200, "no JSON") is None


def test_inbound_websocket_would_take_an_application_of_asterisks_own() -> None:
    (warning,) = found_of.of_theft(("demo", "other"), OUTBOUND)

    assert warning.level == "warning"
    assert "opens one for demo itself" in warning.found
    assert found_of.of_theft(("other",), OUTBOUND) == []
    assert found_of.of_theft(("demo",), None) == []
