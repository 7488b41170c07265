"""The command line."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from . import cli_support
from .__about__ import __version__
from .watch.formats import CallState, Format

app = typer.Typer(
    name="ari-proxy",
    no_args_is_help=True,
    add_completion=False,
    # Logs need plain tracebacks, and rich ones may show the values of variables.
    pretty_exceptions_enable=False,
    help=__doc__,
)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="ARI_PROXY_CONFIG",
        help="Configuration file (JSON), in go-ari-proxy's format or ari-proxy's own.",
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
    """Run ingest: publish Asterisk's events on the bus."""
    cli_support.serve(config, ["ingest"])


@app.command()
def command(config: Config = None) -> None:
    """Run command: send commands from the bus to Asterisk."""
    cli_support.serve(config, ["command"])


@app.command()
def standalone(
    config: Config = None,
    embedded_nats: Annotated[
        bool, typer.Option("--embedded-nats", help="Start the bundled nats-server and use it.")
    ] = False,
) -> None:
    """Run ingest and command in one process, as go-ari-proxy did."""
    cli_support.serve(config, ["ingest", "command"], embedded_nats=embedded_nats)


@app.command()
def operator() -> None:
    """Run the Kubernetes operator, in a pod or for the cluster of KUBECONFIG."""
    from ari_proxy.admin.api import AdminApiError  # noqa: PLC0415

    from .operator.errors import OperatorError  # noqa: PLC0415
    from .operator.service import serve  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .settings.operator import load_operator  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    with cli_support.reported(AdminApiError, OperatorError):
        settings = load_operator()
        logging.configure(level=settings.log.level, form=settings.log.format, component="operator")
        run(lambda stop: serve(settings, stop))


@app.command("check-config")
def check_config(config: Config = None) -> None:
    """Print the effective settings with secrets masked, or each bad value with its place.

    Also reads every file that the settings name: secrets, URLs, certificates.
    """
    from .doctor import files  # noqa: PLC0415  commands import what they need
    from .settings.servers import as_text  # noqa: PLC0415

    servers = cli_support.load_and_warn(config)
    with cli_support.refused():
        files.check_all(servers)
    typer.echo(as_text(servers))


@app.command()
def doctor(config: Config = None) -> None:
    """Check Asterisk and the bus, and print each fault with its remedy; exit 1 if there is one."""
    from .doctor.examination import examine  # noqa: PLC0415
    from .doctor.findings import Finding, exit_code  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    servers = cli_support.load_and_warn(config)
    logging.configure(level="critical", form="auto", component="doctor")  # The findings suffice.
    found: list[Finding] = []

    async def report(_: object) -> None:
        for settings in servers:
            if len(servers) > 1:
                typer.echo(f"{settings.server_id}:")
            async for finding in examine(settings):
                found.append(finding)
                typer.echo(str(finding))

    with cli_support.reported():
        run(report)
    raise typer.Exit(exit_code(found))


@app.command("asterisk-config")
def asterisk_config(  # noqa: PLR0913, PLR0917  typer's options
    config: Config = None,
    asterisk_version: Annotated[
        str, typer.Option(help="Asterisk's version: newer options would make it drop sections.")
    ] = "22.10.1",
    url: Annotated[
        str,
        typer.Option(
            help="Where Asterisk reaches ari.listen, as ws://host:port. Default: ari.listen."
        ),
    ] = "",
    command_url: Annotated[
        str, typer.Option(help="The same for command, if it listens elsewhere than ingest.")
    ] = "",
    client: Annotated[
        list[str] | None,
        typer.Option(help="Address or network of ari-proxy, to let only it reach ARI (repeat)."),
    ] = None,
    executors: Annotated[int, typer.Option(min=1, help="Number of command processes.")] = 1,
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Print ari.password, too.")
    ] = False,
    server: Annotated[str, typer.Option(help="The server_id, if the settings have several.")] = "",
) -> None:
    """Print the sections of Asterisk's configuration files that fit the settings.

    They include the password from a file of its own, ari-proxy-password.conf.
    """
    from .ari import asterisk_config as written  # noqa: PLC0415  commands import what they need
    from .ari import versions  # noqa: PLC0415
    from .ari.errors import UnconfigurableError  # noqa: PLC0415
    from .connections.asterisk_config import (  # noqa: PLC0415
        Deployment,
        asterisk_config,
    )

    settings = cli_support.server_of(cli_support.load_and_warn(config), server)
    with cli_support.reported(UnconfigurableError):
        deployment = Deployment(
            version=versions.parsed(asterisk_version),
            url=url,
            command_url=command_url,
            clients=tuple(client or ()),
            executors=executors,
        )
        described = asterisk_config(settings, deployment, with_password=with_password)
        typer.echo(written.as_text(written.files(described)), nl=False)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8088,
    user: Annotated[str, typer.Option(help="Name of the ARI user.")] = "ari",
) -> None:
    """Run a simulated Asterisk with ARI, to try things out.

    The password comes from the environment variable ARI_PROXY_ARI__PASSWORD (default ari).
    """
    from .runtime import run  # noqa: PLC0415
    from .simulator.server import serve  # noqa: PLC0415

    password = os.environ.get("ARI_PROXY_ARI__PASSWORD", "ari")
    run(lambda stop: serve(stop, port=port, user=user, password=password))


@app.command()
def demo(
    asterisk: Annotated[
        str, typer.Option(help="http://host:port of a real Asterisk. Default: a simulated one.")
    ] = "",
    endpoint: Annotated[
        str, typer.Option(help="Endpoint to call; it must send the digits 1 2 3 4.")
    ] = "Local/dtmf-1234@default",
    calls: Annotated[int, typer.Option(min=1, max=100, help="Number of calls to place.")] = 3,
    bus: Annotated[
        str,
        typer.Option(
            help="nats://host:port or amqp://host:port of a bus. Default: a bundled NATS."
        ),
    ] = "",
) -> None:
    """Serve some calls with an example application and show each one as a ladder.

    A real Asterisk's user and password come from the environment variables ARI_PROXY_ARI__USER
    (default ari) and ARI_PROXY_ARI__PASSWORD or ARI_PROXY_ARI__PASSWORD_FILE.
    """
    from .bus.errors import BusError  # noqa: PLC0415
    from .demo.run import DemoFailedError, run_demo  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415

    logging.configure(level="warning", form="auto", component="demo")
    with cli_support.reported(DemoFailedError, BusError):
        run(lambda stop: run_demo(stop, asterisk=asterisk, endpoint=endpoint, calls=calls, bus=bus))


Names = Annotated[list[str] | None, typer.Option(show_default=False)]


@app.command()
def tail(
    config: Config = None,
    server: Annotated[
        list[str] | None, typer.Option(help="A server_id. Default: those in the settings.")
    ] = None,
    application: Names = None,
    dialog: Names = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="An event's type, or app_start, command, request, response or end."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, for `ladder --from`.")
    ] = False,
) -> None:
    """Show live messages between Asterisk and applications; filters may be repeated.

    Calls and applications are not affected: ingest and command send copies.
    """
    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .tap.records import TapRecord  # noqa: PLC0415
    from .tap.watcher import NobodyServesError  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415
    from .watch.filters import Filter  # noqa: PLC0415
    from .watch.render import lines  # noqa: PLC0415
    from .watch.tail import tail as follow  # noqa: PLC0415

    servers = cli_support.load(config)
    logging.configure(level="warning", form="auto", component="tail")
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    wanted = Filter(applications=application or (), dialogs=dialog or (), types=type_ or ())

    names = server or [each.server_id for each in servers]

    def show(record: TapRecord) -> None:
        text = lines.line(record, coloured=coloured, names_server=len(names) > 1)
        typer.echo(lines.as_json(record) if json else text)

    with cli_support.reported(BusError, NobodyServesError):
        run(lambda stop: follow(servers[0], names, wanted, show, stop))


@app.command()
def calls(  # noqa: PLR0913, PLR0917  typer's options
    config: Config = None,
    server: Annotated[
        list[str] | None, typer.Option(help="A server_id. Default: those in the settings.")
    ] = None,
    number: Annotated[
        str, typer.Option(help="Part of a number that calls or is called, or of a channel's name.")
    ] = "",
    application: Annotated[str, typer.Option(help="Name of an application.")] = "",
    cause: Annotated[
        str, typer.Option(help="A reason, Q.850's number, or part of why it ended.")
    ] = "",
    since: Annotated[
        str, typer.Option(help="Open, or ended within 90s, 10m, 2h or 1d. Default: any time.")
    ] = "",
    state: Annotated[CallState, typer.Option(help="Open or ended ones only.")] = CallState.ALL,
    failed: Annotated[
        bool, typer.Option("--failed", help="Those with a failed command, a gap or a fault.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List the last calls, open and ended: who, when, for how long, and why they ended.

    ingest and command keep them in memory; `ari-proxy ladder` shows one of them.
    """
    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .tap.watcher import NobodyServesError  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415
    from .watch.call_filter import CallFilter, DurationError, seconds_of  # noqa: PLC0415
    from .watch.calls import show_calls  # noqa: PLC0415
    from .watch.render import calls as lines  # noqa: PLC0415

    servers = cli_support.load(config)
    logging.configure(level="warning", form="auto", component="calls")
    names = server or [each.server_id for each in servers]

    with cli_support.reported(BusError, NobodyServesError, DurationError):
        wanted = CallFilter(
            number=number,
            application=application,
            cause=cause,
            since_seconds=seconds_of(since) if since else 0.0,
            state=state,
            only_failed=failed,
        )
        form = lines.as_json if json else lines.line
        now = time.time()
        run(
            lambda _: show_calls(
                servers[0], names, wanted, limit, lambda facts: typer.echo(form(facts, now))
            )
        )


@app.command()
def ladder(
    call: Annotated[
        str,
        typer.Argument(metavar="ID", help="A dialog_id, or a channel's id or SIP Call-ID."),
    ],
    config: Config = None,
    form: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A file written by `tail --json`. Default: the live dialog."),
    ] = None,
) -> None:
    """Draw one dialog as a sequence diagram: from its beginning, and live until it ends.

    A file has it by its dialog_id only.
    """
    from .bus.errors import BusError  # noqa: PLC0415
    from .runtime import run  # noqa: PLC0415
    from .tap.watcher import NobodyServesError  # noqa: PLC0415
    from .telemetry import logging  # noqa: PLC0415
    from .watch import ladder as ladders  # noqa: PLC0415

    expected = (BusError, NobodyServesError, ladders.NoSuchDialogError, ladders.CaptureError)
    with cli_support.reported(*expected, OSError):
        if source is not None:
            with source.open(encoding="utf-8") as lines:
                found = list(ladders.read_capture(lines, call))
            typer.echo(ladders.draw(form, call, found))
            return
        servers = cli_support.load(config)
        settings = servers[0]  # They have the bus in common.
        names = [each.server_id for each in servers]
        logging.configure(level="warning", form="auto", component="ladder")
        show = ladders.live(typer.echo) if form is Format.TEXT else ladders.silent
        found = []
        run(lambda stop: ladders.follow(settings, names, call, stop, found, show))
        if form is not Format.TEXT:
            dialog_id = found[0].dialog_id if found else call
            typer.echo(ladders.draw(form, dialog_id, found))


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="Like AppStart or StasisStart.")] = "",
) -> None:
    """Print the JSON Schema of a message on the bus or of an event; without a name, list them."""
    from . import schemas  # noqa: PLC0415

    with cli_support.reported(schemas.UnknownSchemaError):
        typer.echo(schemas.shown(name))


@app.command()
def validate(name: Annotated[str, typer.Argument(help="Like Command or StasisStart.")]) -> None:
    """Check messages on standard input, one a line; print what is wrong with each."""
    from . import schemas  # noqa: PLC0415

    with cli_support.reported(schemas.UnknownSchemaError):
        problems = schemas.problems(name, sys.stdin)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()
