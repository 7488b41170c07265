"""Images, lock files and manifests agree with each other."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ari_proxy.__about__ import __version__

ROOT = Path(__file__).parents[2]
LOCKS = ["services", "operator", "build"]


def locked(name: str) -> dict[str, str]:
    """Return the versions that a lock file names."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["services", "operator"])
def test_images_have_what_the_tests_ran_with(name: str) -> None:
    tested, shipped = locked("dev"), locked(name)

    assert {package: tested.get(package) for package in shipped} == shipped


@pytest.mark.parametrize("name", [*LOCKS, "dev"])
def test_lock_files_have_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()

    assert text.count("==") <= text.count("--hash=sha256:")
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("name", ["node", "node-rabbitmq"])
def test_lock_files_of_node_have_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "examples" / name / "package-lock.json").read_text()
    packages = [package for path, package in json.loads(text)["packages"].items() if path]

    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert "://" not in text


@pytest.mark.parametrize("name", ["ingest", "command", "operator"])
def test_dockerfiles_keep_the_same_rules(name: str) -> None:
    text = (ROOT / f"Dockerfile.{name}").read_text()

    assert text.count("ARG PYTHON_IMAGE=") == 1
    assert text.count("FROM ${PYTHON_IMAGE}") == 2
    assert "USER 65532:65532" in text
    assert "--require-hashes" in text
    assert f'CMD ["{name}"]' in text
    assert f"-t ari-proxy-{name}:{__version__} ." in text
    assert re.search(r"^ENTRYPOINT \[", text, re.MULTILINE)


def test_manifests_have_the_version_of_the_program() -> None:
    text = (ROOT / "k8s" / "quickstart.yaml").read_text()

    assert f"image: ari-proxy-command:{__version__}" in text


def test_quick_starts_application_is_the_readmes() -> None:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"```python\n(from ari_proxy import App.*?)```", readme, re.DOTALL)
    assert block is not None
    manifest = (ROOT / "k8s" / "quickstart.yaml").read_text()
    program = manifest.partition("hello.py: |\n")[2].partition("---")[0]
    unindented = re.sub(r"^    ", "", program, flags=re.MULTILINE)

    there = unindented.replace("nats://ari-proxy-nats:4222", "nats://127.0.0.1:4222")
    assert there.strip() == block[1].strip()


def test_commits_are_checked_by_make_lint_and_nothing_from_the_network() -> None:
    path = ROOT / ".pre-commit-config.yaml"

    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", path], check=True)
    config = yaml.safe_load(path.read_text())
    hooks = [(at["repo"], hook["entry"]) for at in config["repos"] for hook in at["hooks"]]
    assert hooks == [("local", "make lint")]


def test_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *released = re.split(r"^## ", text, flags=re.MULTILINE)[1:]

    assert first.startswith("Unreleased\n")
    assert [r for r in released if not re.match(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d\n", r)] == []
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for section in (first, *released):
        found = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert found == [kind for kind in kinds if kind in found]
