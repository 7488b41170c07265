"""The alerts by promtool: each fires when it should and is silent when it should be."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ari_proxy.telemetry.metrics_table import TABLE
from tests.support.chart import CHART, ROOT
from tests.support.programs import program

RULES = CHART / "rules" / "ari-proxy.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}

SERVER = 'namespace="v",server_id="a"'
POD = 'namespace="v",pod="p"'
BUS = f'{POD},server_id="a",bus="NATS"'


@dataclass(frozen=True)
class Case:
    """Series, a sample a minute, and when to look."""

    fires: dict[str, str]
    silent: dict[str, str]
    at: str = "20m"
    #: The labels that the alert has beside its name and severity.
    labels: dict[str, str] = field(default_factory=lambda: {"namespace": "v", "server_id": "a"})


def histogram(name: str, labels: str, below: dict[str, str]) -> dict[str, str]:
    """Return the buckets of a histogram: by upper bound how they grow."""
    return {f'{name}_bucket{{{labels},le="{bound}"}}': values for bound, values in below.items()}


STEADY, RISING = "5x40", "0+5x40"
AT_ONCE = {"0.05": "0+60x40", "5": "0+60x40", "+Inf": "0+60x40"}
LATE = {"0.05": "0x40", "5": "0+60x40", "+Inf": "0+60x40"}
CONNECTED = f'ariproxy_ingest_websocket_connected{{{SERVER},application="ivr",pod="%s"}}'
ACTIVE = f'ariproxy_ingest_active{{{SERVER},pod="%s"}}'
DISCONNECTS = f'ariproxy_ingest_websocket_disconnects_total{{{SERVER},reason="%s"}}'
DROPPED = f'ariproxy_ingest_events_dropped_total{{{SERVER},reason="%s"}}'
APP_STARTS = f'ariproxy_ingest_app_starts_total{{{SERVER},application="ivr",result="%s"}}'
REPLACED = f"ariproxy_ingest_applications_replaced{{{SERVER}}}"
REQUESTS = f'ariproxy_command_requests_total{{{SERVER},operation="GET /x",code="%s"}}'
FAILURES = f'ariproxy_command_request_failures_total{{{SERVER},reason="timeout"}}'
IN_FLIGHT = f"ariproxy_command_in_flight{{{SERVER}}}"
LIMIT = f"ariproxy_command_in_flight_limit{{{SERVER}}}"
BUILD = f'ariproxy_build_info{{{POD},component="%s"}}'
BUFFER, CAPACITY = (
    f"ariproxy_bus_outbound_buffer_bytes{{{BUS}}}",
    f"ariproxy_bus_outbound_buffer_capacity_bytes{{{BUS}}}",
)
OF_APPLICATION = {"namespace": "v", "server_id": "a", "application": "ivr"}
OF_BUS = {"namespace": "v", "pod": "p", "server_id": "a", "bus": "NATS"}
REQUEST_SECONDS = "ariproxy_command_request_duration_seconds"

CASES = {
    "AriProxyIngestDisconnected": Case(
        {CONNECTED % "p1": "1x10 0x30", CONNECTED % "p2": "0x40"},
        # One that stands by has no websocket.
        {CONNECTED % "p1": "1x40", CONNECTED % "p2": "0x40"},
        labels=OF_APPLICATION,
    ),
    "AriProxyIngestAbsent": Case(
        # An executor outlives all ingests, or comes up without one.
        {LIMIT: "32x40", ACTIVE % "p1": "1x5 stale"},
        # A standby alone is one; so is a server of which nothing is left.
        {LIMIT: "32x10 stale", ACTIVE % "p1": "0x10 stale"},
    ),
    "AriProxyCommandAbsent": Case(
        {ACTIVE % "p1": "1x40", LIMIT: "32x5 stale"}, {ACTIVE % "p1": "1x40", LIMIT: "32x40"}
    ),
    "AriProxyIngestSplitBrain": Case(
        {ACTIVE % "p1": "1x40", ACTIVE % "p2": "1x40"},
        # During a roll-out both say so for a moment.
        {ACTIVE % "p1": "1x20 0x20", ACTIVE % "p2": "0x19 1x20"},
    ),
    "AriProxyApplicationReplaced": Case(
        {REPLACED: "0x10 1x30", ACTIVE % "p1": "1x40"},
        # A successor of ours has it.
        {REPLACED: "0x19 1 0x20", ACTIVE % "p1": "1x40"},
    ),
    "AriProxyWebsocketFlapping": Case(
        {DISCONNECTS % "lost": "0+1x40"}, {DISCONNECTS % "lost": "0 1 2 2x40"}
    ),
    "AriProxyEventsDropped": Case(
        {DROPPED % "held_too_long": RISING},
        {DROPPED % "held_too_long": STEADY, DROPPED % "no_listener": RISING},
        labels={"namespace": "v", "server_id": "a", "reason": "held_too_long"},
    ),
    "AriProxyNoListener": Case(
        {APP_STARTS % "no_listener": RISING},
        {APP_STARTS % "no_listener": STEADY, APP_STARTS % "accepted": RISING},
        labels=OF_APPLICATION,
    ),
    "AriProxySetUpSlow": Case(
        histogram("ariproxy_ingest_set_up_duration_seconds", SERVER, LATE),
        histogram("ariproxy_ingest_set_up_duration_seconds", SERVER, AT_ONCE),
        at="40m",
    ),
    "AriProxyEventLoopLagging": Case(
        histogram("ariproxy_event_loop_lag_seconds", POD, LATE),
        histogram("ariproxy_event_loop_lag_seconds", POD, AT_ONCE),
        labels={"namespace": "v", "pod": "p"},
    ),
    "AriProxyServerFailing": Case(
        {f'ariproxy_server_failures_total{{{POD},server_id="a"}}': "0+1x40"},
        # Two are mended by the restart.
        {f'ariproxy_server_failures_total{{{POD},server_id="a"}}': "0x14 2x30"},
        labels={"namespace": "v", "pod": "p", "server_id": "a"},
    ),
    "AriProxyBusDisconnected": Case(
        {f"ariproxy_bus_connected{{{BUS}}}": "1x10 0x30"},
        {f"ariproxy_bus_connected{{{BUS}}}": "1x19 0 1x30"},
        labels=OF_BUS,
    ),
    "AriProxyBusBlocked": Case(
        {f"ariproxy_bus_blocked{{{BUS}}}": "0x10 1x30"},
        {f"ariproxy_bus_blocked{{{BUS}}}": "0x19 1 0x30"},
        labels=OF_BUS,
    ),
    "AriProxyBusRefused": Case(
        # From the start, before the first scrape, and for ever.
        {f"ariproxy_bus_refused{{{BUS}}}": "1x40"},
        {f"ariproxy_bus_refused{{{BUS}}}": "0x19 1 0x20"},
        labels=OF_BUS,
    ),
    "AriProxyBusBufferFilling": Case(
        {BUFFER: "0+5x40", CAPACITY: "100x40"}, {BUFFER: "10x40", CAPACITY: "100x40"}, labels=OF_BUS
    ),
    "AriProxyMessagesDropped": Case(
        {f"ariproxy_bus_dropped_messages_total{{{BUS}}}": RISING},
        {f"ariproxy_bus_dropped_messages_total{{{BUS}}}": STEADY},
        labels=OF_BUS,
    ),
    "AriProxyCommandErrors": Case(
        {REQUESTS % "204": "0+60x40", FAILURES: "0+6x40"},
        {REQUESTS % "204": "0+60x40", REQUESTS % "404": "0+60x40", REQUESTS % "500": "0+1x40"},
    ),
    "AriProxyCommandSlow": Case(
        histogram(REQUEST_SECONDS, f'{SERVER},method="GET"', LATE),
        histogram(REQUEST_SECONDS, f'{SERVER},method="GET"', AT_ONCE),
        at="40m",
    ),
    "AriProxyCommandSaturated": Case(
        {IN_FLIGHT: "31x40", LIMIT: "32x40"}, {IN_FLIGHT: "20x40", LIMIT: "32x40"}
    ),
    "AriProxyAsteriskAdvisory": Case(
        {f"ariproxy_ingest_asterisk_advisories{{{SERVER}}}": "2x100"},
        {f"ariproxy_ingest_asterisk_advisories{{{SERVER}}}": "0x100"},
        at="90m",
    ),
    "AriProxyOperatorDown": Case(
        {BUILD % "ingest": "1x40", BUILD % "operator": "1x5 stale"},
        {BUILD % "operator": "1x40"},
        labels={"component": "operator"},
    ),
    "AriProxyNotReady": Case(
        {'ariproxy_operator_resource_ready{namespace="v",name="x"}': "1x5 0x35"},
        {'ariproxy_operator_resource_ready{namespace="v",name="x"}': "1x15 0x5 1x20"},
        labels={"namespace": "v", "name": "x"},
    ),
    "AriProxyReconcileFailing": Case(
        {f'ariproxy_operator_reconciles_total{{{POD},result="failed"}}': "0+1x60"},
        {f'ariproxy_operator_reconciles_total{{{POD},result="ok"}}': "0+1x60"},
        at="50m",
        labels={"namespace": "v", "pod": "p"},
    ),
}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def looked_at(alert: str, case: Case, *, fires: bool) -> dict[str, Any]:
    """Return a test of promtool's: whether the alert is among those that fire."""
    severity = ALERTS[alert]["labels"]["severity"]
    labels = {"alertname": alert, "alertstate": "firing", "severity": severity, **case.labels}
    shown = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    series = case.fires if fires else case.silent
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}',
                "eval_time": case.at,
                "exp_samples": [{"labels": f"ALERTS{{{shown}}}", "value": 1}] if fires else [],
            }
        ],
    }


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "silent"])
@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_alert(tmp_path: Path, alert: str, *, fires: bool) -> None:
    file = tmp_path / "test.yaml"
    test = looked_at(alert, CASES[alert], fires=fires)
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [test]}))
    done = promtool("test", "rules", str(file))

    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_as_promtool_wants_them() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    assert done.returncode == 0, done.stdout + done.stderr


# What they name


def names_in(expressions: Iterable[str]) -> set[str]:
    return set(re.findall(r"\b(ariproxy_[a-z0-9_]+)", " ".join(expressions)))


def test_rules_name_only_metrics_that_there_are() -> None:
    there = {row.name for row in TABLE}
    histograms = [row.name for row in TABLE if row.kind == "histogram"]
    there |= {f"{name}_{end}" for name in histograms for end in ("bucket", "count", "sum")}
    recorded = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
    found = names_in(rule["expr"] for group in GROUPS for rule in group["rules"])
    found -= {name for record in recorded for name in names_in([record])}

    assert found - there == set()


def test_every_alert_has_its_case_and_its_runbook() -> None:
    assert set(CASES) == set(ALERTS)
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_runbook_says_what_to_do_in_words_that_exist(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert headings == [alert, "Meaning", "Impact", "Diagnosis", "Mitigation"]

    sources = [*(ROOT / "services").rglob("*.py"), ROOT / "docs/reference/settings.md"]
    known = "".join(path.read_text() for path in sources)
    for word in re.findall(r"`((?:[a-z]+)\.[a-z_]+)`", text):
        if not word.endswith(".conf"):
            assert word in known or word.partition(".")[2] in known, word
    assert names_in([text]) <= {row.name for row in TABLE}
