"""What the chart and k8s/ hold, by the schemas of the kinds; no cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.test_chart import VALUES, render
from tests.support import schemas
from tests.support.cluster import K8S
from tests.support.resources import resource
from tests.support.schemas import VERSIONS

SAMPLES = sorted((K8S / "samples").glob("*.yaml"))
MANIFESTS = sorted(set(K8S.rglob("*.yaml")) - set(SAMPLES) - set((K8S / "kind").glob("*")))


def objects(path: Path) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_chart_is_as_kubernetes_takes_it(values: Path, version: str) -> None:
    assert schemas.problems(render("--values", str(values)), version) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest_is_as_kubernetes_takes_it(path: Path, version: str) -> None:
    assert schemas.problems(objects(path), version) == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_is_as_the_contract_says(path: Path) -> None:
    assert schemas.problems(objects(path), VERSIONS[-1]) == []


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"sever": []}, "sever"),
        ({"drainTimeoutSeconds": "ten"}, "ten"),
        ({"imagePullPolicy": "Sometimes"}, "Sometimes"),
        ({"ingest": {"replica": 2}}, "replica"),
    ],
)
def test_mistake_is_none(spec: dict[str, Any], word: str) -> None:
    (problem,) = schemas.problems([resource(**spec)], VERSIONS[-1])
    assert word in problem
