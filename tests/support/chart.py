"""Generates the chart's CRD template, its defaults and README.md (`make chart`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "ari-proxy"
CRD = ROOT / "k8s" / "crds" / "ariproxies.yaml"

_HEAD = """{{- /* Generated from k8s/crds/ariproxies.yaml by `make chart`. */}}
{{- include "ari-proxy.defaultValues" . }}
{{- if .Values.crds.enabled }}
"""
_DEFAULTS = """{{/* Generated from values.yaml by `make chart`: what a null value stands for. */}}
{{- define "ari-proxy.defaults" -}}
"""
_ANNOTATIONS = """  {{- $keep := dict "helm.sh/resource-policy" "keep" }}
  {{- with include "ari-proxy.annotations" (list . (.Values.crds.keep | ternary $keep dict)) }}
  {{- . | nindent 2 }}
  {{- end }}
"""


def crd_template() -> str:
    """Return templates/crds.yaml."""
    lines = [line for line in CRD.read_text().splitlines(keepends=True) if line[0] != "#"]
    name = next(number for number, line in enumerate(lines) if line.startswith("  name: "))
    body = "".join([*lines[: name + 1], _ANNOTATIONS, *lines[name + 1 :]])
    assert "{{" not in "".join(lines)  # Helm would interpret it.
    return _HEAD + body + "{{- end }}\n"


def defaults_template() -> str:
    """Return templates/_defaults.tpl: the default of each value; maps and lists are empty.

    Who sets a map or a list to null wants none of its default. Helm gives templates no other access
    to values.yaml.
    """
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    for path, _ in documented(text):
        group, _, name = path.rpartition(".")
        parent = _at(values, group) if group else values
        if isinstance(parent[name], dict | list):
            parent[name] = type(parent[name])()
    return _DEFAULTS + yaml.safe_dump(values, sort_keys=False) + "{{- end }}\n"


def readme() -> str:
    """Return README.md: its head, and a table of the values with their comments."""
    head = (CHART / "README.md.head").read_text()
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [
        f"| `{path}` | `{_shown(_at(values, path))}` | {about} |"
        for path, about in documented(text)
    ]
    return "\n".join([head, "| value | default | meaning |", "| --- | --- | --- |", *rows, ""])


def documented(text: str) -> Iterator[tuple[str, str]]:
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
    (CHART / "templates" / "_defaults.tpl").write_text(defaults_template())
    (CHART / "README.md").write_text(readme())
