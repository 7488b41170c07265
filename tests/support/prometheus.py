"""A private Prometheus that scrapes the processes of a test."""

import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.running import until


def objections(metrics: bytes) -> str:
    """Return promtool's objections to the output of an endpoint."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=metrics,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return (done.stdout + done.stderr).decode()


class Prometheus:
    """Scrapes, and evaluates its rules, once a second."""

    def __init__(self, ports: Iterable[int] | Mapping[str, int], rules: str = "") -> None:
        """Prepare it.

        Args:
            ports: where it scrapes; by the pods' names, if they are to have some.
            rules: a file of alerts and recordings.
        """
        pods = ports if isinstance(ports, Mapping) else {f"pod-{port}": port for port in ports}
        self._binary = program("prometheus")
        self._directory = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self.port = free_port()
        targets = [
            {
                "targets": [f"127.0.0.1:{port}"],
                "labels": {"namespace": "voice", "pod": pod},
            }
            for pod, port in pods.items()
        ]
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [{"job_name": "ari-proxy", "static_configs": targets}],
        }
        if rules:
            (self._directory / "rules.yaml").write_text(rules)
            config["rule_files"] = [str(self._directory / "rules.yaml")]
        (self._directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            self._binary,
            f"--config.file={self._directory / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                self.query("vector(1)")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self._directory / "log").read_text())

    async def until_scraped(self) -> None:
        """Wait until it has scraped all targets; it takes some seconds to start."""
        await until(lambda: bool(self.query("up") and not self.query("up == 0")))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current series of an expression.

        Raises:
            ValueError: Prometheus rejects the expression; with its error.
        """
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{query}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                raise ConnectionError("it is starting") from error
            raise ValueError(f"{expression}: {json.load(error)['error']}") from error
        return found

    def firing(self) -> set[str]:
        """Return the names of the firing alerts."""
        found = self.query('ALERTS{alertstate="firing"}')
        return {series["metric"]["alertname"] for series in found}

    def remove(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
