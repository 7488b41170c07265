"""Shared by the CLI's commands: loading settings, reporting errors, running services."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .aio import first_leaf
from .settings.errors import SettingsError

if TYPE_CHECKING:
    from .proxied_server import Component
    from .settings.load import Settings


@contextmanager
def reported(*expected: type[Exception]) -> Iterator[None]:
    """Exit with a message, not a traceback, on SettingsError and the `expected` errors."""
    kinds: tuple[type[Exception], ...] = (SettingsError, *expected)
    failure: BaseException | None = None
    try:
        yield
    except* kinds as group:
        failure = group
    if failure is not None:
        typer.echo(f"error: {first_leaf(failure)}", err=True)
        raise typer.Exit(1)


@contextmanager
def refused() -> Iterator[None]:
    """Exit with a line for each setting that can't be used."""
    try:
        yield
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(2) from error


def load(config: Path | None, **overrides: object) -> "tuple[Settings, ...]":
    """Return the settings of each server; on bad ones, exit with a line for each."""
    from .settings.servers import load_servers  # noqa: PLC0415  commands import what they need

    with refused():
        return load_servers(config, **overrides)


def load_and_warn(config: Path | None) -> "tuple[Settings, ...]":
    """Return the settings of each server, and print their warnings."""
    servers = load(config)
    for warning in servers[0].warnings:
        typer.echo(f"warning: {warning}", err=True)
    return servers


def server_of(servers: "Sequence[Settings]", server_id: str) -> "Settings":
    """Return the settings of the server of a name, or of the only one; else exit with a message."""
    named = [each for each in servers if server_id in {each.server_id, ""}]
    if len(named) == 1:
        return named[0]
    names = ", ".join(each.server_id for each in servers)
    typer.echo(f"error: which server? --server with one of {names}", err=True)
    raise typer.Exit(2)


def serve(
    config: Path | None, components: "Sequence[Component]", *, embedded_nats: bool = False
) -> None:
    """Run services until SIGTERM; exit with a message if they can't start."""
    # structlog imports rich where there is one; it needs 4 MB, and nothing here is drawn with it.
    sys.modules["rich"] = None  # type: ignore[assignment]  # as if it were not installed
    from ari_proxy.admin.api import AdminApiError  # noqa: PLC0415
    from ari_proxy.demo import nats_server as embedded  # noqa: PLC0415

    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .standalone import serve  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    with (
        reported(AdminApiError, BusError),
        embedded.nats_server(enabled=embedded_nats) as server,
    ):
        nats = {"bus": {"kind": "NATS", "urls": [server.url]}}
        servers = load(config, **(nats if embedded_nats else {}))
        process = servers[0]
        logging.configure(
            level=process.log.level,
            form=process.log.format,
            component=components[0] if len(components) == 1 else "standalone",
            server_id=process.server_id if len(servers) == 1 else "",
        )
        run(lambda stop: serve(servers, components, stop), at_once=server.kill)
