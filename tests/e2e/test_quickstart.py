"""The README's quick start, line by line; the cluster and its images are there already."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cluster
from tests.support.cluster import ROOT, Namespace, until
from tests.support.programs import program

pytestmark = pytest.mark.timeout(420)


def commands() -> list[str]:
    """Return the commands of the README's section."""
    section = (ROOT / "README.md").read_text().partition("## On Kubernetes")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    first, *others = block[1].splitlines()
    assert first == "make kind-up"
    return others


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace that is the default one for kubectl and helm."""
    cluster.require("kubectl", "helm")
    namespace = Namespace("quickstart").create()
    yield namespace
    namespace.kubectl("delete", "ariproxies", "--all", "--wait=false")
    cluster.run("helm", "uninstall", "ari-proxy", "--namespace", namespace.name)
    namespace.remove()


def test_quick_start_serves_a_call(namespace: Namespace) -> None:
    helms = Path(program("helm")).parent
    for command in commands():
        # What only this place makes different: the namespace, a kind that was kept, an end.
        told = command.replace("kubectl ", f"kubectl --namespace {namespace.name} ", 1)
        told = told.replace("helm install", f"helm install --namespace {namespace.name}", 1)
        if "helm" in told:
            # The other tests' operator looks after all namespaces but those of others.
            only = f"--set operator.watchNamespaces='{{{namespace.name}}}'"
            told = told.replace(" --wait", f" --wait --take-ownership {only}", 1)
        if "--follow" in told:
            break
        done = subprocess.run(
            ["bash", "-c", told],
            cwd=ROOT,
            env=os.environ | {"PATH": f"{helms}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    served = "served asterisk."
    until(lambda: served in namespace.kubectl("logs", "deployment/hello"), "the call is served")
    for name in ("quickstart-ingest-asterisk", "quickstart-command-asterisk", "ari-proxy"):
        namespace.kubectl("exec", f"deployment/{name}", "--", "ari-proxy", "--version")
