"""The images' command, and the README's way to a cluster with a registry; no docker."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ari_proxy.__about__ import __version__

ROOT = Path(__file__).parents[2]
IMAGES = ("ingest", "command", "operator")
REGISTRY = "registry.example.com/voice"


def folder_of_programs(tmp_path: Path, name: str, text: str) -> dict[str, str]:
    """Return an environment in which a program of this name is found first."""
    program = tmp_path / "bin" / name
    program.parent.mkdir()
    program.write_text(text)
    program.chmod(0o755)
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def readme_block() -> list[str]:
    section = (ROOT / "README.md").read_text().partition("## On Kubernetes")[2]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1].splitlines()


@pytest.mark.parametrize("name", IMAGES)
def test_ari_proxy_is_a_command_of_the_image(name: str, tmp_path: Path) -> None:
    text = (ROOT / f"Dockerfile.{name}").read_text()
    made = re.search(r"^RUN (mkdir.*?/app/bin/ari-proxy)\n", text, re.MULTILINE | re.DOTALL)
    assert made is not None
    assert "PATH=/app/bin:$PATH" in text

    there = made[1].replace("/app", str(tmp_path / "app"))
    subprocess.run(["bash", "-c", there], check=True)
    python = '#!/bin/sh\nprintf "%s\\n" "$@"\n'
    environment = folder_of_programs(tmp_path, "python3", python)
    done = subprocess.run(
        [str(tmp_path / "app" / "bin" / "ari-proxy"), "ladder", "a b"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["-m", "ari_proxy", "ladder", "a b"]


def test_images_are_built_and_pushed_as_the_chart_names_them(tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    environment = folder_of_programs(tmp_path, "docker", f'#!/bin/sh\necho "$@" >>{commands}\n')
    registry, make, *_ = readme_block()
    assert registry == f"REGISTRY={REGISTRY}"
    subprocess.run(["bash", "-c", f"{registry}; {make}"], cwd=ROOT, env=environment, check=True)

    ran = commands.read_text().splitlines()
    names = [f"{REGISTRY}/ari-proxy-{name}:{__version__}" for name in IMAGES]
    names.append(f"{REGISTRY}/ari-proxy-asterisk:22")
    assert [line.split(" ")[-1] for line in ran if line.startswith("push ")] == names
    built = [line for line in ran if line.startswith("build ")]
    assert [re.findall(r"-t (\S+)", line) for line in built] == [[name] for name in names]


def test_images_have_no_registry_by_default(tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    environment = folder_of_programs(tmp_path, "docker", f'#!/bin/sh\necho "$@" >>{commands}\n')
    subprocess.run(["make", "images"], cwd=ROOT, env=environment, check=True)

    ran = commands.read_text()
    assert f"-t ari-proxy-ingest:{__version__} ." in ran
    assert "push" not in ran


def test_manifests_name_the_registry() -> None:
    registry, *_, apply = readme_block()
    shown = apply.removesuffix(" | kubectl apply -f -")
    assert shown != apply
    done = subprocess.run(
        ["bash", "-c", f"{registry}; {shown}"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    files = [ROOT / "k8s/asterisk/asterisk.yaml", ROOT / "k8s/quickstart.yaml"]
    documents = [item for file in files for item in yaml.safe_load_all(file.read_text()) if item]
    assert len([item for item in yaml.safe_load_all(done.stdout) if item]) == len(documents)
    images = re.findall(r"image: (\S+)", done.stdout)
    assert len(images) == 2
    assert all(image.startswith(f"{REGISTRY}/ari-proxy-") for image in images)
