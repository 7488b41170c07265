"""The Kubernetes cluster of KUBECONFIG, through kubectl and helm."""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ari_proxy.protocol import ids
from tests.support.programs import missing, program

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
CHART = ROOT / "charts" / "ari-proxy"
#: Seconds until something has happened in the cluster.
PATIENCE = 120.0
#: Seconds for a program, which has a deadline of its own where it waits.
DEADLINE = 150.0


def require(*programs: str) -> None:
    """Skip the test unless E2E is set: tests may then install into the cluster."""
    if not os.environ.get("E2E"):
        missing("e2e", "make e2e, in the cluster of KUBECONFIG")
    require_cluster(*programs)


def require_cluster(*programs: str) -> None:
    """Skip the test without a cluster or a program that it needs."""
    if not os.environ.get("KUBECONFIG"):
        missing("kubernetes", "kind create cluster (any cluster that KUBECONFIG names)")
    for name in programs:
        program(name)


def run(*command: str, stdin: str = "", timeout: float = DEADLINE) -> str:
    """Run a program and return its output.

    Raises:
        RefusedError: it failed; with its error output.
    """
    name, *arguments = command
    done = subprocess.run(
        [program(name), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if done.returncode:
        raise RefusedError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


class RefusedError(Exception):
    """The cluster refused a request."""


def kubectl(*arguments: str, stdin: str = "", timeout: float = DEADLINE) -> str:
    return run("kubectl", *arguments, stdin=stdin, timeout=timeout)


def until(condition: Callable[[], object], what: str, *, seconds: float = PATIENCE) -> None:
    """Wait until a condition of the cluster holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


class Namespace:
    """A namespace of the test, with the Pod Security standard "restricted" enforced."""

    def __init__(self, prefix: str = "ari-proxy") -> None:
        self.name = f"{prefix}-{ids.random_id(8).lower()}"

    def create(self) -> "Namespace":
        kubectl("create", "namespace", self.name)
        label = "pod-security.kubernetes.io/enforce=restricted"
        kubectl("label", "namespace", self.name, label)
        return self

    def remove(self) -> None:
        kubectl("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = DEADLINE) -> str:
        return kubectl("-n", self.name, *arguments, stdin=stdin, timeout=timeout)

    def apply(self, text: str) -> None:
        self.kubectl("apply", "-f", "-", stdin=text)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def objects(self, kind: str, labels: str = "") -> list[dict[str, Any]]:
        selector = ("-l", labels) if labels else ()
        found: list[dict[str, Any]] = json.loads(
            self.kubectl("get", kind, *selector, "-o", "json")
        )["items"]
        return found

    def names(self, kind: str, labels: str = "") -> list[str]:
        return [item["metadata"]["name"] for item in self.objects(kind, labels)]

    # Of AriProxy resources

    def condition(self, proxy: str, kind: str = "Ready") -> dict[str, Any]:
        """Return a condition of an AriProxy, or an empty one."""
        status = self.get("ariproxy", proxy).get("status", {})
        found = [item for item in status.get("conditions", ()) if item["type"] == kind]
        return found[0] if found else {"status": "", "reason": "", "message": ""}

    def is_settled(self, proxy: str, servers: int | None = None) -> bool:
        """Return whether the current generation of a resource is served, with this many servers."""
        resource = self.get("ariproxy", proxy)
        status = resource.get("status", {})
        conditions = {item["type"]: item for item in status.get("conditions", ())}
        return (
            status.get("observedGeneration") == resource["metadata"]["generation"]
            and conditions["Ready"]["status"] == "True"
            and conditions["Progressing"]["reason"] == "Settled"
            and servers in {None, status["readyServerCount"]}
        )

    def until_settled(self, proxy: str, servers: int | None = None) -> None:
        until(lambda: self.is_settled(proxy, servers), f"{proxy} is settled")

    def pods(self, proxy: str, component: str, server: str = "") -> list[dict[str, Any]]:
        """Return the pods of a component that are not terminating."""
        labels = f"app.kubernetes.io/instance={proxy},app.kubernetes.io/component={component}"
        if server:
            labels += f",ari-proxy.io/server={server}"
        pods = self.objects("pods", labels)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """Forward a local port to one of a pod or Service around a block; yields the local port."""
        with tempfile.NamedTemporaryFile("w+") as log:
            command = [program("kubectl"), "port-forward", "-n", self.name, target, f":{port}"]
            with subprocess.Popen(command, stdout=log, stderr=log) as forwarding:
                try:
                    yield _forwarded_port(Path(log.name), forwarding)
                finally:
                    forwarding.terminate()


def _forwarded_port(log: Path, forwarding: subprocess.Popen[bytes]) -> int:
    found: list[str] = []

    def is_open() -> bool:
        assert forwarding.poll() is None, log.read_text()
        found[:] = re.findall(r"127\.0\.0\.1:(\d+)", log.read_text())
        return bool(found)

    until(is_open, "the port is forwarded")
    return int(found[0])
