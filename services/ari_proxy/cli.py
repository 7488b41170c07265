"""The command line."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .__about__ import __version__
from .aio import first_leaf
from .settings.errors import SettingsError
from .watch.formats import Format

if TYPE_CHECKING:
    from .settings.load import Settings
    from .standalone import Component

app = typer.Typer(
    name="ari-proxy",
    no_args_is_help=True,
    add_completion=False,
    # A plain traceback is what logs can hold; and a rich one may show what variables hold.
    pretty_exceptions_enable=False,
    help=__doc__,
)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="ARI_PROXY_CONFIG",
        help="Configuration file (JSON), in go-ari-proxy's format or ours.",
    ),
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Asterisk's REST Interface over a message bus."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def ingest(config: Config = None) -> None:
    """Publish Asterisk's events on the bus."""
    _serve(config, ["ingest"])


@app.command()
def command(config: Config = None) -> None:
    """Send commands from the bus to Asterisk."""
    _serve(config, ["command"])


@app.command()
def standalone(
    config: Config = None,
    embedded_nats: Annotated[
        bool, typer.Option("--embedded-nats", help="Start a bundled nats-server.")
    ] = False,
) -> None:
    """Run ingest and command in one process, as go-ari-proxy did."""
    _serve(config, ["ingest", "command"], embedded_nats=embedded_nats)


@app.command()
def operator() -> None:
    """Turn AriProxy resources into Deployments; in a pod, or for the cluster of KUBECONFIG."""
    from .settings.operator import load_operator  # noqa: PLC0415

    try:
        from .operator.errors import OperatorError  # noqa: PLC0415
        from .operator.service import serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error}; pip install 'ari-proxy[operator]'", err=True)
        raise typer.Exit(2) from error
    from ari_proxy.admin.api import AdminApiError  # noqa: PLC0415

    from .runtime import run  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    with _reported(AdminApiError, OperatorError):
        settings = load_operator()
        logging.configure(level=settings.log.level, form=settings.log.format, component="operator")
        run(lambda stop: serve(settings, stop))


@app.command("check-config")
def check_config(config: Config = None) -> None:
    """Print the effective settings with secrets masked, or what is wrong with them.

    Reads all files that they name: secrets, URLs, certificates.
    """
    from .doctor import files  # noqa: PLC0415  commands import what they need
    from .settings import load  # noqa: PLC0415

    settings = _load_and_warn(config)
    with _refused():
        files.check(settings)
    typer.echo(load.as_text(settings))


@app.command()
def doctor(config: Config = None) -> None:
    """Check Asterisk and the bus, and print each fault with its remedy; exit 1 if there is one."""
    from .doctor.examination import examine  # noqa: PLC0415
    from .doctor.findings import Finding, exit_code  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    settings = _load_and_warn(config)
    logging.configure(level="critical", form="auto", component="doctor")  # It tells all that.
    found: list[Finding] = []

    async def report(_: object) -> None:
        async for finding in examine(settings):
            found.append(finding)
            typer.echo(str(finding))

    with _reported():
        run(report)
    raise typer.Exit(exit_code(found))


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8088,
    user: Annotated[str, typer.Option(help="User that may log in.")] = "ari",
) -> None:
    """Run a simulated Asterisk with an ARI, for trying things out.

    Its password is `ari`, or that of the environment's ARI_PROXY_ARI__PASSWORD.
    """
    from .runtime import run  # noqa: PLC0415
    from .simulator.server import serve  # noqa: PLC0415

    password = os.environ.get("ARI_PROXY_ARI__PASSWORD", "ari")
    run(lambda stop: serve(stop, port=port, user=user, password=password))


@app.command()
def demo(
    asterisk: Annotated[
        str, typer.Option(help="http://host:port of a real Asterisk; simulated if left out.")
    ] = "",
    endpoint: Annotated[
        str, typer.Option(help="Whom to call; must send the digits 1 2 3 4.")
    ] = "Local/dtmf-1234@default",
    calls: Annotated[int, typer.Option(min=1, max=100, help="How many calls to place.")] = 3,
    bus: Annotated[
        str, typer.Option(help="nats://host:port or amqp://host:port of a running server.")
    ] = "",
) -> None:
    """Serve some calls with an example application and show each one as a ladder.

    User and password at a real Asterisk are those of ARI_PROXY_ARI__USER (ari) and
    ARI_PROXY_ARI__PASSWORD or ARI_PROXY_ARI__PASSWORD_FILE.
    """
    from .bus.errors import BusError  # noqa: PLC0415
    from .demo.run import DemoFailedError, run_demo  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    logging.configure(level="warning", form="auto", component="demo")
    with _reported(DemoFailedError, BusError):
        run(lambda stop: run_demo(stop, asterisk=asterisk, endpoint=endpoint, calls=calls, bus=bus))


Names = Annotated[list[str] | None, typer.Option(show_default=False)]


@app.command()
def tail(
    config: Config = None,
    server: Annotated[
        list[str] | None, typer.Option(help="server_id; that of the settings if left out.")
    ] = None,
    application: Names = None,
    dialog: Names = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Of the event, or app_start, command, request, response, end."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines, for `ladder --from`.")] = False,
) -> None:
    """Show messages between Asterisk and the applications live; each option may be repeated.

    Nobody but those who watch notices: copies come from ingest and command themselves.
    """
    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .tap.records import TapRecord  # noqa: PLC0415
    from .tap.watcher import NobodyServesError  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415
    from .watch.filters import Filter  # noqa: PLC0415
    from .watch.render import lines  # noqa: PLC0415
    from .watch.tail import tail as follow  # noqa: PLC0415

    settings = _load(config)
    logging.configure(level="warning", form="auto", component="tail")
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    wanted = Filter(applications=application or (), dialogs=dialog or (), types=type_ or ())

    def show(record: TapRecord) -> None:
        typer.echo(lines.as_json(record) if json else lines.line(record, coloured=coloured))

    with _reported(BusError, NobodyServesError):
        run(lambda stop: follow(settings, server or [settings.server_id], wanted, show, stop))


@app.command()
def ladder(
    dialog_id: Annotated[str, typer.Argument(metavar="DIALOG", help="The dialog_id.")],
    config: Config = None,
    form: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A recording made by `tail --json`; live if left out."),
    ] = None,
) -> None:
    """Draw one dialog between Asterisk, ingest, application and command, until it ends."""
    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .tap.watcher import NobodyServesError  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415
    from .watch import ladder as ladders  # noqa: PLC0415

    expected = (BusError, NobodyServesError, ladders.NoSuchDialogError, ladders.CaptureError)
    with _reported(*expected, OSError):
        if source is not None:
            with source.open(encoding="utf-8") as lines:
                found = list(ladders.read_capture(lines, dialog_id))
            typer.echo(ladders.draw(form, dialog_id, found))
            return
        settings = _load(config)
        logging.configure(level="warning", form="auto", component="ladder")
        show = ladders.live(dialog_id, typer.echo) if form is Format.TEXT else ladders.silent
        found = []
        run(lambda stop: ladders.follow(settings, dialog_id, stop, found, show))
        if form is not Format.TEXT:
            typer.echo(ladders.draw(form, dialog_id, found))


@contextmanager
def _reported(*expected: type[Exception]) -> Iterator[None]:
    """End with a message, not with a traceback, on what users can mend, bad settings included."""
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
def _refused() -> Iterator[None]:
    """End with a line for each setting that can't be used."""
    try:
        yield
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(2) from error


def _load(config: Path | None, **overrides: object) -> "Settings":
    from .settings import load  # noqa: PLC0415

    with _refused():
        return load.load(config, **overrides)


def _load_and_warn(config: Path | None) -> "Settings":
    settings = _load(config)
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return settings


def _serve(
    config: Path | None, components: "Sequence[Component]", *, embedded_nats: bool = False
) -> None:
    from ari_proxy.admin.api import AdminApiError  # noqa: PLC0415
    from ari_proxy.demo import nats_server as embedded  # noqa: PLC0415

    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .standalone import serve  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    with (
        _reported(AdminApiError, BusError),
        embedded.nats_server(enabled=embedded_nats) as server,
    ):
        nats = {"bus": {"kind": "NATS", "urls": [server.url]}}
        settings = _load(config, **(nats if embedded_nats else {}))
        logging.configure(
            level=settings.log.level,
            form=settings.log.format,
            component=components[0] if len(components) == 1 else "standalone",
            server_id=settings.server_id,
        )
        run(lambda stop: serve(settings, components, stop), at_once=server.kill)


def main() -> None:
    """Run the command line."""
    app()
