"""What the chart gives to Prometheus and Grafana."""

import json
from typing import Any

import pytest
import yaml

from tests.charts.test_chart import of, render
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


def test_dashboards_of_two_releases_have_ids_of_their_own() -> None:
    found = [
        {item["uid"] for item in dashboards(monitoring("dashboards.enabled=true", namespace=where))}
        for where in ("one", "two")
    ]
    assert [len(uids) for uids in found] == [len(DASHBOARDS)] * 2
    assert found[0] & found[1] == set()
    assert all(len(uid) <= 40 for uids in found for uid in uids)


def test_dashboards_are_those_of_the_files() -> None:
    found = dashboards(monitoring("dashboards.enabled=true", "dashboards.titleSuffix=(two)"))
    files = [json.loads(path.read_text()) for path in (CHART / "dashboards").glob("*.json")]
    for item, file in zip(sorted(found, key=_title), sorted(files, key=_title), strict=True):
        assert item["title"] == f"{file['title']} (two)"
        assert item["panels"] == file["panels"]
        assert item["templating"] == file["templating"]


def _title(dashboard: dict[str, Any]) -> str:
    return str(dashboard["title"])
