"""Settings of every process: admin API, traces, logs, shutdown."""

from typing import Literal

from pydantic import Field

from .fields import OptionalWebUrl
from .group import Group


class AdminSettings(Group):
    """The admin API: /livez, /readyz, /metrics, /dialogs, /dialogs/count."""

    enabled: bool = True
    """Serve it."""

    host: str = "127.0.0.1"
    """Address to listen on. Default: this machine only; 0.0.0.0 in containers."""

    port: int = Field(default=9797, ge=0, le=65535)
    """Port to listen on; 0 takes any and logs it."""

    console: bool = False
    """Serve ingest's console at /console: dialogs and ladders for whoever reaches this address.
    Default: calls are nobody else's business."""


class TracesSettings(Group):
    """OpenTelemetry: a span per AppStart, command and request; needs `ari-proxy[traces]`."""

    enabled: bool = False
    """Trace, and send the spans by OTLP. Default: no trace, at no cost."""

    endpoint: OptionalWebUrl = ""
    """Where OTLP over HTTP is taken, like http://collector:4318; OTEL_EXPORTER_OTLP_ENDPOINT if
    left out."""

    ratio: float = Field(default=1.0, ge=0, le=1)
    """Which part of the dialogs is traced, unless the client's own trace says."""


class LogSettings(Group):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important that shows."""

    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines, or text for people. Default: text on a terminal."""


class RuntimeSettings(Group):
    """The process."""

    drain_seconds: float = Field(default=10.0, ge=0, le=3600)
    """After SIGTERM: how long commands and set-ups that have begun may take."""
