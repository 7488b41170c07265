"""Settings of every process: admin API, traces, logs, shutdown."""

from typing import Final, Literal

from pydantic import Field

from .fields import OptionalWebUrl
from .group import Group


class AdminSettings(Group):
    """The admin API: /livez, /readyz, /metrics, /dialogs, /dialogs/count."""

    enabled: bool = True
    """Serve the admin API."""

    host: str = "127.0.0.1"
    """Address to listen on; `::` is every address, of IPv4 and IPv6. Default: only this machine;
    `::` in containers."""

    port: int = Field(default=9797, ge=0, le=65535)
    """Port to listen on; 0 for any free port, which is logged."""

    calls_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of its own for what shows calls: /dialogs and the console; 0 for any free port, which
    is logged. So whoever reads metrics need not see calls. Default: all at `port`."""

    console: bool = False
    """Serve ingest's console at /console: dialogs, calls that are over, and ladders, for anyone who
    can reach this address. Default: calls are private."""

    @property
    def has_calls_port(self) -> bool:
        """Whether calls are shown at another port than all else."""
        return self.calls_port is not None and self.calls_port != (self.port or None)


#: Which a server's recorder has, however many others there are.
_LEAST_BYTES: Final = 2**17


class RecorderSettings(Group):
    """The flight recorder: the last calls, kept in memory for `calls`, `ladder` and the console."""

    enabled: bool = True
    """Keep the last calls."""

    calls: int = Field(default=1_000, ge=1)
    """Ended calls to keep of each server."""

    bytes: int = Field(default=32 * 2**20, ge=2**16)
    """Bytes to keep in one process, divided among its servers, each of which has 128 KiB at least;
    of more, the calls that ended first go, then open ones."""

    mask_numbers: bool = False
    """Show of telephone numbers in what was kept only the last three digits. What looks like a
    secret is never shown."""

    def bytes_of_each(self, servers: int) -> int:
        """Return the share of each of so many servers."""
        return max(self.bytes // servers, min(self.bytes, _LEAST_BYTES))


class TracesSettings(Group):
    """OpenTelemetry: a span per AppStart, command and request; needs `ari-proxy[traces]`."""

    enabled: bool = False
    """Export spans by OTLP. Default: no traces, at no cost."""

    endpoint: OptionalWebUrl = ""
    """The OTLP/HTTP endpoint, like http://collector:4318. Default: OTEL_EXPORTER_OTLP_ENDPOINT."""

    ratio: float = Field(default=1.0, ge=0, le=1)
    """Share of dialogs that are traced; a client's own sampling decision wins."""


class LogSettings(Group):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""

    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines, or text for people. `auto` is text on a terminal, else JSON."""


class RuntimeSettings(Group):
    """The process."""

    drain_seconds: float = Field(default=10.0, ge=0, le=3600)
    """How long running commands and set-ups may take after SIGTERM."""
