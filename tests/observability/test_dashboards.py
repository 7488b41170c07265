"""The dashboards name what there is, and a real Prometheus has data for each of their pictures."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.telemetry.metrics_table import TABLE
from tests.observability.test_alerts import names_in
from tests.support import dashboards, process
from tests.support.browser import SCREENSHOTS
from tests.support.chart import ROOT
from tests.support.dashboards import DASHBOARDS, DIRECTORY, Dashboard
from tests.support.pictures.model import read
from tests.support.pictures.series import TimeRange, empty, fetch_all
from tests.support.pictures.themes import THEMES
from tests.support.prometheus import Prometheus
from tests.support.running import LegacyClient, bus_client, settings_for, until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import NatsServer
from tests.support.watched_servers import watched_servers

HISTOGRAMS = [row.name for row in TABLE if row.kind == "histogram"]
METRICS = {row.name for row in TABLE} | {f"{name}_bucket" for name in HISTOGRAMS}
#: What Asterisk's own exporter would have to tell, or a cluster.
OTHERS = ("asterisk_", "container_", "kube_")
ELSEWHERE = ("ariproxy_operator_", *OTHERS)


def plain(expression: str) -> str:
    """Return a query with the variables as Grafana would put them in."""
    for variable, value in (
        ("$__rate_interval", "1m"),
        ("$cluster", ".*"),
        ("$namespace", ".*"),
        ("$server_id", ".*"),
    ):
        expression = expression.replace(variable, value)
    return expression


def queries(name: str) -> list[tuple[str, str]]:
    found = dashboards.expressions(DASHBOARDS[name])
    return [(panel.title, plain(expression)) for panel, expression in found]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_file_is_what_the_table_says(name: str) -> None:
    assert (DIRECTORY / f"{name}.json").read_text() == dashboards.text(name)


def test_there_are_no_other_files() -> None:
    assert {path.stem for path in DIRECTORY.iterdir()} == set(DASHBOARDS)


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_queries_name_only_metrics_that_there_are(dashboard: Dashboard) -> None:
    for panel, expression in dashboards.expressions(dashboard):
        found = names_in([expression])
        assert found <= METRICS, panel.title
        assert found or any(part in expression for part in ELSEWHERE)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_its_place_unit_and_description(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in (found := json.loads(dashboards.text(name))["panels"]):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in panels(name):
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
    everything = [panel["id"] for row in found for panel in (row, *row.get("panels", []))]
    assert len(set(everything)) == len(everything)


def panels(name: str) -> list[dict[str, Any]]:
    """Return all panels, those of collapsed rows as well."""
    found: list[dict[str, Any]] = json.loads(dashboards.text(name))["panels"]
    everything = [panel for row in found for panel in (row, *row.get("panels", []))]
    return [panel for panel in everything if panel["type"] != "row"]


def test_rows_whose_metrics_are_others_are_collapsed() -> None:
    """Who does not scrape Asterisk or the kubelet sees no row of empty panels."""
    for dashboard in DASHBOARDS.values():
        for row in dashboard.rows:
            queries = [expression for panel in row.panels for expression, _ in panel.queries]
            theirs = [any(part in query for part in OTHERS) for query in queries]
            assert row.collapsed == all(theirs) == any(theirs), row.title


@pytest.mark.parametrize("name", DASHBOARDS)
def test_titles_tell_panels_apart(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_is_now_is_asked_for_now(name: str) -> None:
    """A range query would show the last `Yes` of a pod that is gone, for hours."""
    for panel in panels(name):
        if panel["type"] not in {"timeseries", "heatmap"}:
            assert all(target["instant"] for target in panel["targets"]), panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_is_wrong_is_red(name: str) -> None:
    """Grafana's default is green below 80: a `No` as well as a `Yes`."""
    for panel in panels(name):
        fields = panel["fieldConfig"]
        if panel["type"] == "stat" and panel["options"]["colorMode"] == "background":
            first, second = fields["defaults"]["thresholds"]["steps"]
            assert (first["color"], second["color"]) == ("green", "red")
            assert 0 < second["value"] <= 1
        elif panel["type"] == "table":
            properties = {
                item["id"]: item["value"] for item in fields["overrides"][0]["properties"]
            }
            first, second = properties["thresholds"]["steps"]
            assert (first["color"], second["color"], second["value"]) == ("red", "green", 1)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_stay_readable_with_500_servers(name: str) -> None:
    for panel in panels(name):
        for target in panel["targets"]:
            legend, expression = target["legendFormat"], target["expr"]
            if "server_id}}" in legend or "pod}}" in legend or panel["type"] == "table":
                assert expression.startswith(("topk(", "bottomk(")), panel["title"]
            if "server_id" in expression.replace("$server_id", "").replace("server_id=~", ""):
                assert "by (cluster, namespace, server_id" in expression, panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_offer_what_there_is_for_those_before(name: str) -> None:
    model = json.loads(dashboards.text(name))
    before: list[str] = []
    for variable in model["templating"]["list"]:
        if variable["type"] == "query":
            assert all(f'"${earlier}"' in variable["query"] for earlier in before)
            before.append(variable["name"])
            assert variable["datasource"]["uid"] == "${datasource}"
    assert before[:2] == ["cluster", "namespace"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboards_lead_to_each_other(name: str) -> None:
    model = json.loads(dashboards.text(name))
    (link,) = model["links"]
    assert set(link["tags"]) <= set(model["tags"])
    assert link["includeVars"]
    assert link["keepTime"]


@asynccontextmanager
async def scraped(
    nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[tuple[Prometheus, ScriptedAsterisk]]:
    """A proxy that has served a call, was refused a command and lost its websocket, scraped."""
    async with scripted_asterisk() as asterisk:
        settings = settings_for(
            nats_server,
            rest_url=asterisk.url,
            websocket_url=asterisk.websocket_url,
            application="demo",
        )
        environment = process.environment_of(settings) | {"ARI_PROXY_INGEST__GRACE_SECONDS": "0.1"}
        async with (
            process.running(tmp_path / "log", "standalone", **environment) as running,
            bus_client(settings) as bus,
        ):
            port = (await running.logged("admin.listening"))["port"]
            prometheus = Prometheus([port])
            prometheus.start()
            try:
                client = LegacyClient(bus, "demo")
                await client.start()
                await running.logged("dialogs.reconciled")
                # A rate needs its counter before and after.
                await prometheus.until_scraped()
                await asterisk.push(channel_event("StasisStart", "c"))
                await client.until(lambda: client.starts)
                dialog = client.starts[0]["dialog_id"]
                await client.command(dialog, "POST", "/channels/c/answer")
                await client.command(dialog, "POST", "//elsewhere")
                await asterisk.push(channel_event("StasisEnd", "c"))
                await asterisk.push("this is no event")
                await running.logged("dialog.ended")
                await asyncio.sleep(2)
                yield prometheus, asterisk
            finally:
                prometheus.remove()


@pytest.mark.usefixtures("prometheus")
async def test_prometheus_has_data_for_every_picture(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    empty = []
    async with scraped(nats_server, tmp_path) as (prometheus, _):
        for name in DASHBOARDS:
            for title, expression in queries(name):
                found = await asyncio.to_thread(prometheus.query, expression)
                if not found and not any(part in expression for part in ELSEWHERE):
                    empty.append(f"{name}: {title}: {expression}")

    assert empty == []


#: Dashboards that are drawn: the operator's needs a cluster.
DRAWN = ("overview", "ingest", "command")
RATE_INTERVAL = "10s"
SECONDS = 180 if SCREENSHOTS else 5


@pytest.mark.timeout(240)  # It draws for some seconds, and for more of them on a busy machine.
@pytest.mark.usefixtures("prometheus")
async def test_every_panel_is_drawn_from_a_run(nats_server: NatsServer, tmp_path: Path) -> None:
    """By our own renderer: Grafana is no package of Debian's."""
    themes = [*THEMES] if SCREENSHOTS else ["light"]
    models = [read(json.loads(dashboards.text(name)), RATE_INTERVAL) for name in DRAWN]
    async with watched_servers(nats_server, tmp_path) as watched:
        begin = time.time()
        await watched.serve(SECONDS)
        url = f"http://127.0.0.1:{watched.prometheus.port}"

        def has_all() -> bool:
            over = TimeRange(begin, time.time())
            found = [(model.panels, fetch_all(url, model.panels, over)) for model in models]
            return not any(empty(*these) for these in found)

        with suppress(TimeoutError):  # The renderer says which panels are empty.
            await until(lambda: asyncio.to_thread(has_all))
        # The picture ends while there are calls. A process of its own: matplotlib asks the system
        # for its fonts.
        end = begin + SECONDS if SCREENSHOTS else time.time()
        await asyncio.to_thread(
            subprocess.check_call,
            [
                *(sys.executable, "-m", "tests.support.pictures"),
                *(DIRECTORY / f"{name}.json" for name in DRAWN),
                *("--prometheus", url, "--rate-interval", RATE_INTERVAL),
                *("--begin", str(begin), "--end", str(end)),
                *("--output", str(SCREENSHOTS or tmp_path), "--themes", *themes),
            ],
            cwd=ROOT,
            timeout=100,
        )
    pictures = [(SCREENSHOTS or tmp_path) / f"{name}-{x}.png" for name in DRAWN for x in themes]
    assert all(10_000 < picture.stat().st_size < 300_000 for picture in pictures)
