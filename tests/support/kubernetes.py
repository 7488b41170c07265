"""A namespace of a real Kubernetes cluster, the one that KUBECONFIG names."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ari_proxy.protocol import ids
from tests.support.servers import missing

#: What an ingest may do in its namespace.
_ROLE = ["--verb=get,create,update", "--resource=leases"]


class Namespace:
    """A namespace of one's own, with a service account that may use leases there."""

    def __init__(self) -> None:
        if not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None:
            missing("kubernetes", "kind create cluster (any cluster that KUBECONFIG names)")
        self.name = f"ari-proxy-{ids.random_id(8)}"
        self._directory = Path(tempfile.mkdtemp(prefix="kubernetes-"))
        self.token_file = self._directory / "token"
        self.ca_file = self._directory / "ca.crt"
        self.url = ""

    def create(self) -> None:
        self.kubectl("create", "namespace", self.name)
        self.kubectl("create", "serviceaccount", "ingest", "-n", self.name)
        self.kubectl("create", "role", "leases", "-n", self.name, *_ROLE)
        subject = f"--serviceaccount={self.name}:ingest"
        self.kubectl("create", "rolebinding", "leases", "-n", self.name, "--role=leases", subject)
        self.token_file.write_text(self.kubectl("create", "token", "ingest", "-n", self.name))
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        cluster = config["clusters"][0]["cluster"]
        self.url = cluster["server"]
        self.ca_file.write_bytes(_authority(cluster))

    @staticmethod
    def kubectl(*arguments: str) -> str:
        done = subprocess.run(
            ["kubectl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    def lease(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.kubectl("get", "lease", name, "-n", self.name, "-o", "json")
        )
        return found

    def remove(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--wait=false")
        shutil.rmtree(self._directory, ignore_errors=True)


def _authority(cluster: dict[str, str]) -> bytes:
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"])
    return Path(cluster["certificate-authority"]).read_bytes()
