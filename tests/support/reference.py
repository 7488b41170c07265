"""Writes the reference of settings and metrics from the code: `make reference`."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ari_proxy.settings.load import Settings
from ari_proxy.telemetry.metrics import TABLE

DOCS = Path(__file__).parents[2] / "docs" / "reference"

SETTINGS_HEAD = """# Settings

Written from the code by `make reference`; a test compares the two.

A setting's value comes from the first of these that has it: the environment, the configuration file
(`--config FILE`, or `ARI_PROXY_CONFIG`), the default. In the environment lists are JSON:
`ARI_PROXY_APPLICATIONS='["ivr","voicemail"]'`. `ari-proxy check-config` prints what is in force,
with secrets masked.

The configuration file is JSON, in this form or in that of go-ari-proxy's `config.json`
(`config.example.json`), beside whose keys our groups may stand:

| key of the original | setting |
| --- | --- |
| `origin` | `ari.origin` |
| `server_id` | `server_id` |
| `applications` | `applications` |
| `websocket_url` | `ari.websocket_url` |
| `stasis_url` | `ari.rest_url` |
| `ws_user`, `ws_password` | `ari.user`, `ari.password` |
| `message_bus` | `bus.kind` |
| `bus_config.url` | `bus.urls`, separated by commas; credentials: `bus.user`, `bus.password` |
| `bus_config.queue` | `bus.queue` |
"""

METRICS_HEAD = """# Metrics

Written from the code by `make reference`; a test compares the two.

`GET /metrics` of each component's admin API (`admin.port`). Labels are bounded: never a dialog, a
channel or a URL. `operation` is a method with the path template of Asterisk's API, or `other`.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
"""


def settings() -> str:
    """Return docs/reference/settings.md."""
    parts = [SETTINGS_HEAD]
    groups = Settings.model_fields
    parts.append(_section("", {n: f for n, f in groups.items() if not _is_group(f)}))
    for name, group in groups.items():
        if _is_group(group):
            model: Any = group.annotation
            parts.append(_section(name, model.model_fields, model.__doc__))
    return "\n".join(parts)


def _is_group(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)


def _section(group: str, fields: dict[str, FieldInfo], about: str = "") -> str:
    prefix = f"{group}." if group else ""
    lines = [f"## `{group}`\n\n{about}\n" if group else ""]
    lines += ["| setting | environment | default | meaning |", "| --- | --- | --- | --- |"]
    for name, info in fields.items():
        variable = "ARI_PROXY_" + f"{group}__{name}".removeprefix("__").upper()
        default = _shown(info.get_default())
        meaning = f"{info.description}{_allowed(info)}"
        lines.append(f"| `{prefix}{name}` | `{variable}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _allowed(info: FieldInfo) -> str:
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    if len(choices) > 1:
        return " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    bounds = [
        f"{word} {getattr(limit, key):g}"
        for limit in info.metadata
        for key, word in (("ge", "from"), ("gt", "above"), ("le", "to"))
        if hasattr(limit, key)
    ]
    return f" ({' '.join(bounds)})" if bounds else ""


def _shown(value: object) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value == "":
        return ""
    if isinstance(value, tuple):
        value = "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`"


def metrics() -> str:
    """Return docs/reference/metrics.md."""
    rows = [
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels)} "
        f"| {row.help} |"
        for row in TABLE
    ]
    return METRICS_HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings())
    (DOCS / "metrics.md").write_text(metrics())
