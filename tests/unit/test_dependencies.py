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
CLIENT = [
    f"ari_proxy.{name}"
    for name in ("app", "bus", "client", "entry_point", "protocol", "runtime", "schemas")
]
SERVER = [
    f"ari_proxy.{name}"
    for name in (
        *("admin", "ari", "cli", "command", "connections", "demo", "doctor", "ingest"),
        *("settings", "simulator", "standalone", "tap", "telemetry.traces", "testing"),
        "watch",
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
    python = environment(tmp_path, *extras)

    ended = subprocess.run(
        [python, "-c", IMPORTER, *modules], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr


def test_application_on_an_asterisk_without_the_server_says_what_to_install(tmp_path: Path) -> None:
    python = environment(tmp_path)
    code = "from ari_proxy import App; App('demo', 'ari://u:hush@127.0.0.1')"

    ended = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'ari-proxy[server]'" in ended.stderr.splitlines()[-1]
    assert "Misconfigured" in ended.stderr.splitlines()[-1]


def test_base_install_is_the_client() -> None:
    assert distributions() <= {
        "aiohappyeyeballs", "aiormq", "cffi", "idna", "msgspec", "multidict", "nats-py", "nkeys",
        "pamqp", "propcache", "pycparser", "pynacl", "structlog", "typing-extensions", "yarl",
    }  # fmt: skip


def test_library_has_one_least_version_wherever_it_is_declared() -> None:
    versions: dict[str, set[str]] = {}
    for extra in ("", *PROJECT["optional-dependencies"]):
        for needed in declared(extra):
            versions.setdefault(needed.name, set()).add(str(needed.specifier))

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
