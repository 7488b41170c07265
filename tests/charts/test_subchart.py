"""The chart as a dependency of another one, whose `condition` and globals are not ours."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART
from tests.support.programs import program

GLOBALS = {
    "storageClass": "fast",
    "postgresql": {"auth": {"database": "voice"}},
    "security": {"allowInsecureImages": False},
    "imagePullSecrets": [{"name": "registry"}],
}


def umbrella(folder: Path, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Render a chart that has ours as its dependency, and whose template shows the globals."""
    about = {
        "apiVersion": "v2",
        "name": "umbrella",
        "version": "1.0.0",
        "dependencies": [
            {"name": "ari-proxy", "version": "*.*.*", "condition": "ari-proxy.enabled"}
        ],
    }
    (folder / "charts").mkdir()
    (folder / "charts" / "ari-proxy").symlink_to(CHART)
    (folder / "templates").mkdir()
    shown = "kind: Globals\nmetadata: {name: globals}\nglobal: {{ toJson .Values.global }}\n"
    (folder / "templates" / "globals.yaml").write_text(shown)
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    command = [program("helm"), "template", "voice", str(folder), "--kube-version", "1.31.0"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def rendered(folder: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    done = umbrella(folder, values)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def kinds(items: list[dict[str, Any]]) -> list[str]:
    return [item["kind"] for item in items]


@pytest.mark.parametrize("enabled", [True, False])
def test_condition(tmp_path: Path, *, enabled: bool) -> None:
    items = rendered(tmp_path, {"ari-proxy": {"enabled": enabled}})
    assert ("Deployment" in kinds(items)) is enabled


def test_globals_of_others(tmp_path: Path) -> None:
    items = rendered(tmp_path, {"global": GLOBALS})

    (operator,) = [item for item in items if item["kind"] == "Deployment"]
    pull_secrets = operator["spec"]["template"]["spec"]["imagePullSecrets"]
    assert pull_secrets == [{"name": "registry"}]
    # What ours adds to the globals is not seen by others.
    (shown,) = [item for item in items if item["kind"] == "Globals"]
    assert shown["global"] == GLOBALS


@pytest.mark.parametrize("secret", ["registry", {"name": "registry"}], ids=["name", "object"])
def test_pull_secret(tmp_path: Path, secret: Any) -> None:
    items = rendered(tmp_path, {"global": {"imagePullSecrets": [secret]}})
    (operator,) = [item for item in items if item["kind"] == "Deployment"]
    pull_secrets = operator["spec"]["template"]["spec"]["imagePullSecrets"]
    assert pull_secrets == [{"name": "registry"}]


def test_pull_secret_without_a_name_is_refused(tmp_path: Path) -> None:
    done = umbrella(tmp_path, {"global": {"imagePullSecrets": [{"names": "registry"}]}})
    assert "imagePullSecrets" in done.stderr


def test_groups_may_be_null(tmp_path: Path) -> None:
    groups = ("quickstart", "networkPolicy", "monitoring", "operator", "rbac", "crds", "ingest")
    items = rendered(tmp_path, {"ari-proxy": dict.fromkeys(groups)})
    assert "Deployment" in kinds(items)
