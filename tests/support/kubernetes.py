"""Leases in a real Kubernetes cluster, and an account that may use them."""

import base64
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.support import cluster
from tests.support.cluster import Namespace

#: What an ingest may do in its namespace.
_ROLE = ["--verb=get,create,update", "--resource=leases"]


class LeaseNamespace(Namespace):
    """A namespace of the test, with a service account that may use leases there."""

    def __init__(self) -> None:
        cluster.require_cluster("kubectl")
        super().__init__()
        self._directory = Path(tempfile.mkdtemp(prefix="kubernetes-"))
        self.token_file = self._directory / "token"
        self.ca_file = self._directory / "ca.crt"
        self.url = ""

    def create(self) -> "LeaseNamespace":
        super().create()
        self.kubectl("create", "serviceaccount", "ingest")
        self.kubectl("create", "role", "leases", *_ROLE)
        subject = f"--serviceaccount={self.name}:ingest"
        self.kubectl("create", "rolebinding", "leases", "--role=leases", subject)
        self.token_file.write_text(self.kubectl("create", "token", "ingest"))
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        found = config["clusters"][0]["cluster"]
        self.url = found["server"]
        self.ca_file.write_bytes(_authority(found))
        return self

    def lease(self, name: str) -> dict[str, Any]:
        return self.get("lease", name)

    def remove(self) -> None:
        super().remove()
        shutil.rmtree(self._directory, ignore_errors=True)


def _authority(found: dict[str, str]) -> bytes:
    if "certificate-authority-data" in found:
        return base64.b64decode(found["certificate-authority-data"])
    return Path(found["certificate-authority"]).read_bytes()
