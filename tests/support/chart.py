"""Generates the chart's CRD template and README.md (`make chart`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "ari-proxy"
CRD = ROOT / "k8s" / "crds" / "ariproxies.yaml"

_HEAD = """{{- /* Generated from k8s/crds/ariproxies.yaml by `make chart`. */}}
{{- if .Values.crds.enabled }}
"""
_ANNOTATIONS = """  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""


def crd_template() -> str:
    """Return templates/crds.yaml."""
    lines = [line for line in CRD.read_text().splitlines(keepends=True) if line[0] != "#"]
    name = next(number for number, line in enumerate(lines) if line.startswith("  name: "))
    body = "".join([*lines[: name + 1], _ANNOTATIONS, *lines[name + 1 :]])
    assert "{{" not in "".join(lines)  # Helm would interpret it.
    return _HEAD + body + "{{- end }}\n"


def readme() -> str:
    """Return README.md: its head, and a table of the values with their comments."""
    head = (CHART / "README.md.head").read_text()
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [
        f"| `{path}` | `{_shown(_at(values, path))}` | {about} |"
        for path, about in _documented(text)
    ]
    return "\n".join([head, "| value | default | meaning |", "| --- | --- | --- |", *rows, ""])


def _documented(text: str) -> Iterator[tuple[str, str]]:
    """Yield path and comment of each value that has a comment which begins with `# --`."""
    parents: list[str] = []
    about = ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# -- "):
            about = bare.removeprefix("# -- ")
        elif bare.startswith("#") and about:
            about += " " + bare.removeprefix("# ")
        elif ":" in bare and not bare.startswith(("#", "-")):
            depth = (len(line) - len(line.lstrip())) // 2
            parents = [*parents[:depth], bare.partition(":")[0]]
            if about:
                yield ".".join(parents), about
            about = ""


def _at(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values


def _shown(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000).split("\n...")[0].strip())


if __name__ == "__main__":
    (CHART / "templates" / "crds.yaml").write_text(crd_template())
    (CHART / "README.md").write_text(readme())
