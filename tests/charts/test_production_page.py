"""What docs/production.md shows is what the chart and the CRD take."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ari_proxy.__about__ import __version__
from tests.charts.test_chart import render
from tests.support import schemas
from tests.support.chart import ROOT

PAGE = (ROOT / "docs" / "production.md").read_text()
BLOCKS = [
    (title.splitlines()[0], yaml.safe_load(block))
    for title in PAGE.split("\n## ")[1:]
    for block in re.findall(r"```yaml\n(.*?)```", title, re.DOTALL)
]


def values(block: dict[str, Any]) -> dict[str, Any] | None:
    """Return the chart's values in a block; None for an AriProxy."""
    spec = block.get("spec", {})
    match block.get("kind"):
        case "AriProxy":
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
    assert kinds == {None, "AriProxy", "Application", "HelmRelease"}


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
