"""`ari-proxy` where only the client library is installed, or only another extra."""

import subprocess
from pathlib import Path

import pytest

from ari_proxy.__about__ import __version__
from tests.support.environments import environment


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what `pip install ari-proxy` gives."""
    return environment(tmp_path_factory.mktemp("base"))


def run(python: Path, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python, "-m", "ari_proxy", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "name", "extra"),
    [
        (["ingest"], "ari-proxy ingest", "server"),
        (["standalone", "--embedded-nats"], "ari-proxy standalone", "server"),
        (["doctor", "--config", "operator"], "ari-proxy doctor", "server"),
        (["operator"], "ari-proxy operator", "operator"),
        (["--help"], "ari-proxy", "server"),
        ([], "ari-proxy", "server"),
        (["schema", "AppStart", "Command"], "ari-proxy schema", "server"),
    ],
)
def test_command_without_its_extra_says_what_to_install(
    base: Path, arguments: list[str], name: str, extra: str
) -> None:
    ended = run(base, *arguments)

    assert ended.returncode == 2
    install = f"pip install 'ari-proxy[{extra}]'"
    assert ended.stderr == f"error: {name} needs typer, which is not installed: {install}\n"
    assert ended.stdout == ""


def test_command_of_another_extra_says_so(tmp_path: Path) -> None:
    ended = run(environment(tmp_path, "operator"), "standalone")

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stderr.endswith("which is not installed: pip install 'ari-proxy[server]'\n")


def test_version_needs_no_extra(base: Path) -> None:
    ended = run(base, "--version")

    assert (ended.returncode, ended.stdout) == (0, f"{__version__}\n")


def test_schemas_need_no_extra(base: Path) -> None:
    listed, one, none = (
        run(base, "schema"),
        run(base, "schema", "AppStart"),
        run(base, "schema", "x"),
    )

    assert "StasisStart" in listed.stdout.splitlines()
    assert '"$ref": "#/$defs/AppStart"' in one.stdout
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr == "error: there is no schema 'x'; `ari-proxy schema` lists all\n"


def test_messages_are_checked_without_an_extra(base: Path) -> None:
    good = '{"unique_id": "1", "url": "/channels", "method": "GET"}\n'

    assert run(base, "validate", "Command", text=good).returncode == 0
    ended = run(base, "validate", "Command", text=f"{good}[1]\n")
    assert ended.returncode == 1
    assert ended.stderr.startswith("line 2: ")


def test_documentation_shows_what_is_said(base: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "install.md").read_text()
    shown = page.partition("```console\n$ ari-proxy ingest\n")[2].partition("```")[0]

    assert run(base, "ingest").stderr == shown
