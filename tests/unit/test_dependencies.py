"""Each extra has all that it is for, and the base install no library of the server."""

import subprocess
from pathlib import Path

import pytest

from tests.support.environments import PROJECT, declared, distributions, environment

#: Imports modules, and packages with all that is in them.
IMPORTER = """
import importlib, pkgutil, sys

for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        importlib.import_module(found.name)
"""
CLIENT = ["ari_proxy", "ari_proxy.entry_point", "ari_proxy.runtime", "ari_proxy.schemas"]
CLIENT += [f"ari_proxy.{name}" for name in ("bus", "client", "protocol")]
SERVER = [
    f"ari_proxy.{name}"
    for name in (
        *("admin", "ari", "cli", "command", "connections", "demo", "doctor", "ingest"),
        *("settings", "simulator", "standalone", "tap", "telemetry.traces", "watch"),
    )
]


@pytest.mark.parametrize(
    ("extras", "modules"),
    [
        pytest.param([], CLIENT, id="base"),
        pytest.param(["server"], CLIENT + SERVER, id="server"),
        pytest.param(["operator"], [*CLIENT, "ari_proxy.cli", "ari_proxy.operator"], id="operator"),
        pytest.param(["server", "traces"], ["ari_proxy.telemetry"], id="traces"),
    ],
)
def test_extra_has_all_that_its_modules_import(
    extras: list[str], modules: list[str], tmp_path: Path
) -> None:
    # All modules: the client is the base, though `ari_proxy` itself is a package with all others.
    names = [name for name in modules if name != "ari_proxy"]
    python = environment(tmp_path, *extras)

    ended = subprocess.run(
        [python, "-c", IMPORTER, *names], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr


def test_base_install_is_the_client() -> None:
    assert distributions() <= {
        "aiormq", "cffi", "idna", "msgspec", "multidict", "nats-py", "nkeys", "pamqp", "propcache",
        "pycparser", "pynacl", "structlog", "typing-extensions", "yarl",
    }  # fmt: skip


def test_library_has_one_least_version_wherever_it_is_declared() -> None:
    versions: dict[str, set[str]] = {}
    for extra in ("", *PROJECT["optional-dependencies"]):
        for needed in declared(extra):
            versions.setdefault(needed.name, set()).add(str(needed.specifier))

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
