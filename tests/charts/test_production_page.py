"""What docs/production.md shows is what the chart and the CRD take."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from ari_proxy.__about__ import __version__
from ari_proxy.operator.decide.children.config_map import settings
from ari_proxy.operator.decide.components import components_of
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.decide.servers import DesiredServer, desired_servers
from ari_proxy.operator.decide.slots import Slot
from ari_proxy.operator.model import parse
from ari_proxy.operator.state import Observed
from ari_proxy.telemetry.metrics_table import TABLE
from tests.charts.test_chart import render
from tests.support import schemas
from tests.support.chart import ROOT
from tests.support.resources import IMAGES, NOW

PAGE = (ROOT / "docs" / "production.md").read_text()
BLOCKS = [
    (title.splitlines()[0], yaml.safe_load(block))
    for title in PAGE.split("\n## ")[1:]
    for block in re.findall(r"```yaml\n(.*?)```", title, re.DOTALL)
]


#: What the page uses of a ScaledObject's spec (keda.sh/v1alpha1); KEDA takes no other values than
#: strings in a trigger's metadata.
SCALED_OBJECT = jsonschema_rs.validator_for(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["scaleTargetRef", "triggers"],
        "properties": {
            "scaleTargetRef": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": {"type": "string"}},
            },
            "minReplicaCount": {"type": "integer"},
            "maxReplicaCount": {"type": "integer"},
            "cooldownPeriod": {"type": "integer"},
            "triggers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["type", "metadata"],
                    "properties": {
                        "type": {"const": "prometheus"},
                        "metadata": {
                            "type": "object",
                            "required": ["serverAddress", "query", "threshold"],
                            "additionalProperties": {"type": "string"},
                        },
                    },
                },
            },
        },
    }
)


def values(block: dict[str, Any]) -> dict[str, Any] | None:
    """Return the chart's values in a block; None if it is an object of a namespace."""
    spec = block.get("spec", {})
    match block.get("kind"):
        case "AriProxy" | "ScaledObject":
            return None
        case "Application":
            assert spec["source"]["targetRevision"] == __version__
            return dict(spec["source"]["helm"]["valuesObject"])
        case "HelmRelease":
            assert spec["chart"]["spec"]["version"] == __version__
            return dict(spec["values"])
        case kind:
            assert kind is None
            return block


def test_page_has_blocks_of_each_kind() -> None:
    kinds = {block.get("kind") for _, block in BLOCKS}
    assert kinds == {None, "AriProxy", "Application", "HelmRelease", "ScaledObject"}


def of_kind(title: str, kind: str) -> dict[str, Any]:
    (found,) = [block for name, block in BLOCKS if (name, block.get("kind")) == (title, kind)]
    return dict(found)


def alone(server: DesiredServer) -> Slot:
    """Return the pods of one server."""
    return Slot(name=server.name, servers=(server,))


def test_scaled_object_scales_what_the_operator_leaves_to_it() -> None:
    resource, scaled = of_kind("KEDA", "AriProxy"), of_kind("KEDA", "ScaledObject")
    SCALED_OBJECT.validate(scaled["spec"])
    proxy = parse(resource | {"metadata": {**resource["metadata"], "uid": "u"}})
    observed = Observed(proxy=proxy, children={}, now=NOW)
    (server,) = desired_servers(observed)
    *_, command = components_of(observed, alone(server), IMAGES, Defaults())
    (trigger,) = scaled["spec"]["triggers"]

    assert command.replicas is None
    assert command.autoscaling is None
    assert scaled["spec"]["scaleTargetRef"]["name"] == command.name
    assert scaled["metadata"]["namespace"] == resource["metadata"]["namespace"]
    metrics = re.findall(r"ariproxy_\w+", trigger["metadata"]["query"])
    assert set(metrics) <= {row.name for row in TABLE}
    assert int(trigger["metadata"]["threshold"]) < resource["spec"]["command"]["maxInFlight"]


def test_addresses_of_ipv6_come_into_the_settings() -> None:
    resource = of_kind("IPv6 and dual stack", "AriProxy")
    metadata = {**resource["metadata"], "namespace": "voice", "uid": "u"}
    observed = Observed(proxy=parse(resource | {"metadata": metadata}), children={}, now=NOW)
    (server,) = desired_servers(observed)
    ingest, _ = components_of(observed, alone(server), IMAGES, Defaults())
    found = settings(ingest)

    assert urlsplit(found["ari"]["websocket_url"]).hostname == "2001:db8:2::10"
    assert [urlsplit(url).hostname for url in found["bus"]["urls"]] == ["2001:db8:1::4222"]
    assert found["admin"]["host"] == "::"


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_block_is_taken(title: str, block: dict[str, Any], tmp_path: Path) -> None:
    found = values(block)
    items = [block]
    if found is not None:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(found))
        items = render("--values", str(file))
        assert items != render(), title
    assert schemas.problems(items, schemas.VERSIONS[-1]) == []
