"""What a release consists of, made as RELEASING.md says."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ari_proxy.__about__ import __version__
from tests.support.programs import program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes, in a folder of its own and in this virtual environment."""
    program("helm")
    found = tmp_path_factory.mktemp("dist")
    environment = Path(sys.prefix)
    subprocess.run(
        # The environment is taken as it is.
        [
            "make",
            f"--assume-old={environment}/stamp",
            "dist",
            f"VENV={environment}",
            f"DIST={found}",
        ],
        cwd=ROOT,
        check=True,
        timeout=50,
    )
    return found


def test_release_has_a_wheel_an_sdist_and_a_chart_of_one_version(dist: Path) -> None:
    assert sorted(path.name for path in dist.iterdir()) == [
        f"ari-proxy-{__version__}.tgz",
        f"ari_proxy-{__version__}-py3-none-any.whl",
        f"ari_proxy-{__version__}.tar.gz",
    ]


def test_wheel_has_all_files_of_the_package_and_none_besides(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    package = ROOT / "services"
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert names == {path.relative_to(package).as_posix() for path in files}
    assert {"ari_proxy/py.typed", "ari_proxy/admin/console/pages/index.html"} <= names


def test_wheel_runs_where_it_is_installed(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([sys.executable, *install, tmp_path, wheel], check=True, timeout=50)

    code = "from ari_proxy import cli; print(cli.__file__); cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )

    assert done.stdout.split() == [str(tmp_path / "ari_proxy" / "cli.py"), __version__]


def test_sdist_has_what_it_takes_to_build_it(dist: Path) -> None:
    (sdist,) = dist.glob("ari_proxy-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert "services/ari_proxy/__about__.py" in names


def test_descriptions_of_asterisk_are_in_no_package(dist: Path) -> None:
    """They are under the GPL; the facts of them are the generator's, and no part of a package."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("ari_proxy-*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as source:
        names = [*archive.namelist(), *(name.partition("/")[2] for name in source.getnames())]

    assert [name for name in names if name.endswith(".json")] == []
    assert [name for name in names if name.startswith(("generator", "tests", "docs"))] == []


def test_chart_is_a_package_with_its_kind(dist: Path) -> None:
    (chart,) = dist.glob("*.tgz")
    with tarfile.open(chart) as archive:
        names = set(archive.getnames())

    assert {"ari-proxy/Chart.yaml", "ari-proxy/templates/crds.yaml"} <= names
