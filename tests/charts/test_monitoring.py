"""What the chart gives to Prometheus and Grafana."""

import json
from typing import Any

import pytest
import yaml

from tests.charts.test_chart import helm, of, refusal, render
from tests.charts.test_null_values import EVERYTHING
from tests.charts.test_pods import operator
from tests.support.chart import CHART
from tests.support.dashboards import DASHBOARDS

MONITORS = {"PodMonitor": "podMetricsEndpoints", "ServiceMonitor": "endpoints"}
RULES = (CHART / "rules" / "ari-proxy.yaml").read_text()


def monitoring(*options: str, namespace: str = "telephony") -> list[dict[str, Any]]:
    names = [f"monitoring.{option}" for option in options]
    return render("--namespace", namespace, *(x for name in names for x in ("--set", name)))


def endpoint(items: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (monitor,) = of(items, kind)
    (found,) = monitor["spec"][MONITORS[kind]]
    return dict(found)


@pytest.mark.parametrize("kind", MONITORS)
def test_namespace_of_a_resource_is_kept(kind: str) -> None:
    """Prometheus would overwrite it with that of the operator."""
    name = f"{kind[0].lower()}{kind[1:]}"
    found = endpoint(monitoring(f"{name}.enabled=true"), kind)
    assert found["honorLabels"]
    assert "scrapeTimeout" not in found


@pytest.mark.parametrize("kind", MONITORS)
def test_monitor(kind: str) -> None:
    items = render("--values", str(EVERYTHING))
    (monitor,) = of(items, kind)
    values = yaml.safe_load(EVERYTHING.read_text())["monitoring"]["podMonitor"]

    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["metadata"]["annotations"]["team"] == "voice"
    # Prometheus looks for pods in the monitor's own namespace otherwise.
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["telephony"]}
    for field in ("interval", "scrapeTimeout", "relabelings", "metricRelabelings"):
        assert endpoint(items, kind)[field] == values[field]


def test_monitors_find_the_operator() -> None:
    items = render("--values", str(EVERYTHING))
    (service,) = [item for item in of(items, "Service") if "nats" not in item["metadata"]["name"]]
    pod = operator(items)["spec"]["template"]
    for kind, labels in (("ServiceMonitor", service["metadata"]), ("PodMonitor", pod["metadata"])):
        (monitor,) = of(items, kind)
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels["labels"].items()
        assert endpoint(items, kind)["port"] == "admin"
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["targetPort"]) == ("admin", "admin")


def test_rules_are_installed_as_they_were_tested() -> None:
    runbooks = "https://example.com/runbooks/"
    items = monitoring("prometheusRule.enabled=true", f"prometheusRule.runbookUrl={runbooks}")
    (rule,) = of(items, "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.replace("docs/runbooks/", runbooks))


def test_runbook_without_an_address_is_no_url() -> None:
    (rule,) = of(monitoring("prometheusRule.enabled=true"), "PrometheusRule")
    for group in rule["spec"]["groups"]:
        for found in group["rules"]:
            annotations = found.get("annotations", {"runbook": "docs/runbooks/"})
            assert "runbook_url" not in annotations
            assert annotations["runbook"].startswith("docs/runbooks/")


def dashboards(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    maps = [item for item in of(items, "ConfigMap") if "dashboard" in item["metadata"]["name"]]
    return [json.loads(text) for item in maps for text in item["data"].values()]


def test_dashboards_of_each_release_have_ids_of_their_own() -> None:
    """Grafana takes ids of up to 40 characters."""
    releases = (("voice", "one"), ("voice", "two"), ("other", "one"))
    uids = [uid for where, release in releases for uid in uids_of(where, release)]
    assert len(uids) == len(set(uids)) == len(DASHBOARDS) * len(releases)
    assert all(len(uid) <= 40 for uid in uids)


def uids_of(namespace: str, release: str) -> list[str]:
    where = ("--namespace", namespace, "--kube-version", "1.31.0")
    done = helm(
        "template", release, str(CHART), *where, "--set", "monitoring.dashboards.enabled=true"
    )
    assert done.returncode == 0, done.stderr
    return [item["uid"] for item in dashboards([x for x in yaml.safe_load_all(done.stdout) if x])]


def test_dashboards_are_those_of_the_files() -> None:
    found = dashboards(monitoring("dashboards.enabled=true", "dashboards.titleSuffix=(two)"))
    files = [json.loads(path.read_text()) for path in (CHART / "dashboards").glob("*.json")]
    for item, file in zip(sorted(found, key=_title), sorted(files, key=_title), strict=True):
        assert item["title"] == f"{file['title']} (two)"
        assert item["panels"] == file["panels"]
        assert item["templating"] == file["templating"]


CONSOLE = "dashboards.consoleUrl=https://console.example.com/console"


def series_links(*options: str) -> dict[str, list[dict[str, Any]]]:
    """Return the links from series of each panel that has some."""
    found = dashboards(monitoring("dashboards.enabled=true", *options))
    rows = [panel for item in found for panel in item["panels"]]
    panels = [inner for row in rows for inner in (row, *row.get("panels", []))]
    links = {
        x["title"]: x["fieldConfig"]["defaults"].get("links", [])
        for x in panels[1:]
        if "fieldConfig" in x
    }
    return {title: these for title, these in links.items() if these}


def test_series_of_servers_link_to_their_calls_in_the_console() -> None:
    links = series_links(CONSOLE)
    (open_,), (begun,), (served,) = (
        links[title] for title in ("Open dialogs", "Dialogs begun", "Served applications")
    )
    base = "https://console.example.com/console?server="
    labels = "${__field.labels."
    assert open_["url"] == f"{base}{labels}server_id:percentencode}}"
    assert begun["url"] == f"{open_['url']}&find={labels}application:percentencode}}"
    # A row of a table is one frame for all series: it has no labels, but fields.
    assert served["url"] == begun["url"].replace("__field.labels", "__data.fields")
    assert open_["targetBlank"]
    assert "By status" not in links


def test_console_of_each_server_may_have_an_address_of_its_own() -> None:
    each = "dashboards.consoleUrl=https://example.com/{cluster}/{namespace}/{server_id}/console"
    (open_,) = series_links(each)["Open dialogs"]
    labels = "${__field.labels."
    path = "/".join(
        f"{labels}{name}:percentencode}}" for name in ("cluster", "namespace", "server_id")
    )
    assert open_["url"].startswith(f"https://example.com/{path}/console?server=")
    for item in dashboards(monitoring("dashboards.enabled=true", each)):
        assert "Console" not in {link["title"] for link in item["links"]}


def test_dashboards_link_to_the_console() -> None:
    for item in dashboards(monitoring("dashboards.enabled=true", CONSOLE)):
        (link,) = (link for link in item["links"] if link["title"] == "Console")
        assert (link["type"], link["url"]) == ("link", "https://console.example.com/console")


def test_without_a_console_nothing_links_to_it() -> None:
    assert series_links() == {}
    for item in dashboards(monitoring("dashboards.enabled=true")):
        assert [link["type"] for link in item["links"]] == ["dashboards"]


@pytest.mark.parametrize("url", ["console.example.com", "https://example.com/console?server=x"])
def test_console_has_an_address_without_a_query(url: str) -> None:
    assert "consoleUrl" in refusal("--set", f"monitoring.dashboards.consoleUrl={url}")


def _title(dashboard: dict[str, Any]) -> str:
    return str(dashboard["title"])
