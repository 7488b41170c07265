"""The console script `ari-proxy`: its commands, or what they need.

`pip install ari-proxy` is the client library. The services, and typer with them, come with the
extra `server`, the operator with `operator`. What describes messages works without any.
"""

import sys
from collections.abc import Sequence
from typing import Final, TextIO

from .__about__ import __version__

#: Exit status of a command that can't be used, as where its settings can't.
_UNUSABLE: Final = 2
_EXTRAS: Final = {"operator": "operator"}


def main() -> None:
    """Run the command line; where a library is missing, say which extra has it."""
    arguments = sys.argv[1:]
    try:
        from . import cli  # noqa: PLC0415  may not be installed

        cli.main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "ari_proxy":
            raise  # A fault of ours.
        sys.exit(_run_without(error.name, arguments))


def _run_without(library: str, arguments: Sequence[str]) -> int:
    """Run what needs no extra; for all else say which one to install."""
    match arguments:
        case ["--version"]:
            sys.stdout.write(f"{__version__}\n")
            return 0
        case ["schema"]:
            return _show_schema("")
        case ["schema", name] if not name.startswith("-"):
            return _show_schema(name)
        case ["validate", name] if not name.startswith("-"):
            return _validate(name, sys.stdin)
        case _:
            sys.stderr.write(f"error: {_advice(library, arguments)}\n")
            return _UNUSABLE


def _advice(library: str, arguments: Sequence[str]) -> str:
    command = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    extra = _EXTRAS.get(command, "server")
    return (
        f"{f'ari-proxy {command}'.strip()} needs {library}, which is not installed: "
        f"pip install 'ari-proxy[{extra}]'"
    )


def _show_schema(name: str) -> int:
    from . import schemas  # noqa: PLC0415  for this command only

    try:
        sys.stdout.write(f"{schemas.shown(name)}\n")
    except schemas.UnknownSchemaError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _validate(name: str, lines: TextIO) -> int:
    from . import schemas  # noqa: PLC0415  for this command only

    try:
        problems = schemas.problems(name, lines)
    except schemas.UnknownSchemaError as error:
        problems = [f"error: {error}"]
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0
