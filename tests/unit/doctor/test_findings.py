"""What answers mean."""

import json
from datetime import date

import pytest

from ari_proxy.ari.features import FEATURES
from ari_proxy.doctor import findings
from ari_proxy.doctor.findings import Finding, exit_code
from tests.support.malformed import DEEPLY_NESTED

TODAY = date(2026, 11, 28)


def info(version: str) -> str:
    return json.dumps({"system": {"version": version}})


@pytest.mark.parametrize(
    ("status", "body", "level", "words"),
    [
        (200, info("22.10.1"), "ok", "Asterisk 22.10.1"),
        (200, "{}", "ok", "unknown version"),
        (200, "no JSON", "ok", "unknown version"),
        (200, DEEPLY_NESTED.decode(), "ok", "unknown version"),
        (401, "", "fault", "ari.conf"),
        (404, "", "fault", "enabled=yes"),
        (503, "", "fault", "503"),
    ],
)
def test_info(status: int, body: str, level: str, words: str) -> None:
    (found, *_) = findings.of_info(status, body, today=TODAY)

    assert found.level == level
    assert words in str(found)


def test_old_version_is_told_its_advisories_and_what_mends_them() -> None:
    warned = findings.of_info(200, info("22.8.0"), today=TODAY)
    (advisory,) = (finding for finding in warned if finding.what.startswith("advisory"))

    assert advisory.level == "warning"
    assert advisory.what == "advisory GHSA-v6hp-wh3r-cwxh"
    assert advisory.remedy.endswith("20.18.2, 21.12.1, 22.8.2, 23.2.2")


@pytest.mark.parametrize("is_outbound", [True, False])
def test_faults_of_outbound_websockets_are_told_to_whom_they_concern(*, is_outbound: bool) -> None:
    told = findings.of_info(200, info("22.10.1"), today=TODAY, is_outbound=is_outbound)
    remedies = [found.remedy for found in told if found.what == "fault asterisk#1979"]

    assert remedies == ["upgrade Asterisk to one of 20.21, 22.11, 23.5"] * is_outbound
    assert exit_code(told) == 0


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [
        ("22.12.0", "ok", "it gets fixes until 2028-10-16"),
        ("23.5.0", "warning", "it gets security fixes only, until 2027-10-15"),
        ("20.21.0", "warning", "it gets security fixes only, until 2027-10-19"),
        ("21.12.2", "warning", "it gets no fixes any more"),
        ("16.28.0~dfsg", "warning", "it gets no fixes any more"),
    ],
)
def test_support_of_a_branch(version: str, level: str, said: str) -> None:
    _, told, *_ = findings.of_info(200, info(version), today=TODAY)

    assert (told.level, told.found) == (level, said)


@pytest.mark.parametrize("version", ["25.0.0", "certified-20.7-cert11", "GIT-master-1"])
def test_support_of_other_branches_is_not_guessed(version: str) -> None:
    told = findings.of_info(200, info(version), today=TODAY)

    assert not [finding for finding in told if "support" in finding.what]


@pytest.mark.parametrize(
    ("status", "level"), [(403, "fault"), (404, "ok"), (500, "warning"), (204, "warning")]
)
def test_rights(status: int, level: str) -> None:
    assert findings.of_write(status).level == level


@pytest.mark.parametrize(("status", "level"), [(200, "warning"), (404, "ok")])
def test_application_that_somebody_serves(status: int, level: str) -> None:
    assert findings.of_application("ivr", status).level == level


def test_features_are_told_by_the_versions_that_brought_them() -> None:
    all_of_them = findings.of_features(FEATURES)
    none = findings.of_features(())
    (newest,) = [finding for finding in none if "22.10" in finding.what]

    assert all(finding.found.startswith("available: ") for finding in all_of_them)
    assert not any("not available" in finding.found for finding in all_of_them)
    assert all(finding.found.startswith("not available: ") for finding in none)
    # Its description says 20.17, 22.7 and 23.1 of claim.
    assert newest.what == "Asterisk, ARI of 20.20, 22.10, 23.4"
    assert "events.claim" in newest.found
    assert "channels.set_variable(report_events)" in newest.found
    assert exit_code([*all_of_them, *none]) == 0


def test_feature_may_be_the_only_one_of_its_version() -> None:
    (claim,) = [feature for feature in FEATURES if feature.name == "events.claim"]
    (newest,) = [f for f in findings.of_features([claim]) if "22.10" in f.what]

    assert newest.found.startswith("available: events.claim; not available: bridges.")


@pytest.mark.parametrize(("seconds", "level"), [(0.9, "ok"), (-1.5, "ok"), (-30, "warning")])
def test_clock(seconds: float, level: str) -> None:
    assert findings.of_clock(seconds).level == level


@pytest.mark.parametrize(("connections", "level"), [(32, "ok"), (100, "warning")])
def test_sessions(connections: int, level: str) -> None:
    assert findings.of_sessions(connections, 100).level == level


@pytest.mark.parametrize(
    ("transport", "takes_requests", "level", "said"),
    [
        ("auto", True, "ok", "commands go on websockets; lists and files by HTTP"),
        ("http", True, "ok", "commands go by HTTP: command.transport says so"),
        ("websocket", True, "ok", "commands go on websockets only; files can't be had"),
        ("auto", False, "ok", "commands go by HTTP: this Asterisk takes no requests"),
        ("http", False, "ok", "commands go by HTTP: this Asterisk takes no requests"),
        ("websocket", False, "fault", "no command is executed: this Asterisk takes no requests"),
    ],
)
def test_transport_of_commands(
    transport: str, *, takes_requests: bool, level: str, said: str
) -> None:
    finding = findings.of_transport(transport, takes_requests=takes_requests)

    assert finding.level == level
    assert bool(finding.remedy) == (level == "fault")
    assert finding.found.startswith(said)


@pytest.mark.parametrize(
    ("transport", "said"),
    [
        ("auto", "commands go on websockets that Asterisk opens; files by HTTP"),
        ("websocket", "commands go on websockets that Asterisk opens; files can't be had"),
        ("http", "commands go by HTTP"),
    ],
)
def test_transport_of_commands_where_asterisk_opens_websockets(transport: str, said: str) -> None:
    finding = findings.of_outbound_transport(transport)

    assert (finding.level, finding.remedy) == ("ok", "")
    assert finding.found.startswith(said)


def test_only_faults_fail() -> None:
    ok, warning, fault = (
        Finding("ok", "a", "b"),
        Finding("warning", "a", "b"),
        Finding("fault", "a", "b", "do c"),
    )

    assert exit_code([ok, warning]) == 0
    assert exit_code([ok, fault]) == 1
    assert str(fault) == "FAULT  a: b\n       → do c"
