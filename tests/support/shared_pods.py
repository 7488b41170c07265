"""A cluster whose servers share pods: each pod serves the servers of its settings at once."""

import json
from datetime import timedelta
from typing import Any, NamedTuple

from ari_proxy.operator.objects import labels_of, slot_of
from ari_proxy.operator.report.status import status
from ari_proxy.operator.state import SETTINGS_FILE, Deployed, query_name

from .resources import Cluster, execute, pod


def listed(*names: str, **fields: Any) -> list[dict[str, Any]]:
    """Return servers for a spec, each of an Asterisk of its own."""
    return [
        {
            "name": name,
            "ari": {
                "url": f"http://{name}/ari",
                "credentialsSecretRef": {"name": "asterisk-ari"},
            },
            "applications": ["demo"],
            **fields,
        }
        for name in names
    ]


class Process(NamedTuple):
    """The pod of a Deployment."""

    deployment: str
    template: str
    #: In the order of their starts.
    number: int
    #: How many the Deployment has had before.
    former: int = -1

    @property
    def pod(self) -> str:
        """Its name."""
        return f"{self.deployment}-{self.former}" if self.former else self.deployment


class SharedCluster(Cluster):
    """Its pods run, and their servers have calls if `calls` names them."""

    def __init__(self, *servers: str, pods: str = "Shared", **spec: Any) -> None:
        super().__init__(servers=listed(*servers), pods=pods, **spec)
        #: By server_id: open dialogs.
        self.calls: dict[str, int] = {}
        #: Servers whose former ingests have not handed their dialogs over yet.
        self.clinging: set[str] = set()
        #: By server_id: what keeps shared pods from serving it.
        self.problems: dict[str, str] = {}
        self.started = 0
        #: By server_id.
        self._owners: dict[str, Process] = {}
        self._running: dict[str, Process] = {}
        #: Numbers of processes, and the server_ids that they do not serve any more.
        self._handed_over: set[tuple[int, str]] = set()

    def serve(self, *servers: str, **spec: Any) -> None:
        """Change the spec."""
        self.resource["spec"] |= {"servers": listed(*servers), **spec}

    def step(self) -> None:
        """Execute a plan, run its pods, and write the status."""
        patches = self.plan()
        self.settle()
        execute(self, patches)
        self.run_pods()
        status = {**self.resource.get("status", {})}
        self.resource["status"] = status | {"servers": self._servers()}

    def until_settled(self, steps: int = 20) -> None:
        """Execute plans until nothing is left to do."""
        for _ in range(steps):
            self.step()
            found = self.plan()
            if not (found.apply or found.delete or found.patches):
                return
        raise AssertionError(f"not settled: {self.plan()}")

    def run_pods(self) -> None:
        """Have one pod for each Deployment, with the servers that it has settings of."""
        former, self._running = self._running, {}
        for key, item in self.children.items():
            if key.kind == "Deployment":
                self._start(key.name)
                template = json.dumps(item["spec"]["template"], sort_keys=True)
                self._running[key.name] = former.get(key.name, Process(key.name, "", 0))
                if self._running[key.name].template != template:
                    self._replace(key.name, template)
        self._hand_over()
        self.pods, self.server_checks, self.dialogs, self.active = [], {}, {}, {}
        deployed = self.observed.deployed
        for name, process in self._running.items():
            item = self.of("Deployment", name)
            own = [server for server in deployed if server.slot == slot_of(item)]
            self.pods.append(found := pod(name, labels=labels_of(item)))
            annotations = item["spec"]["template"]["metadata"]["annotations"]
            found["metadata"] |= {
                "name": process.pod,
                "annotations": annotations,
                "creationTimestamp": f"2026-11-24T10:{process.number:04}",
            }
            self._answer(process, own)
            self._count_ready(process, own)

    def restart(self, deployment: str) -> None:
        """Replace a Deployment's pod by another one, as an eviction does."""
        self._replace(deployment, self._running[deployment].template)
        self.run_pods()

    def _replace(self, deployment: str, template: str) -> None:
        self.started += 1
        former = self._running[deployment].former + 1
        self._running[deployment] = Process(deployment, template, self.started, former)

    def _start(self, name: str) -> None:
        """Read the settings as the process does, which refuses some."""
        settings = json.loads(self.of("ConfigMap", name)["data"][SETTINGS_FILE])
        entries = settings.get("servers", ())
        needs = [entry["server_id"] for entry in entries]
        for entry in entries:
            url = entry["ari"].get("websocket_url")
            needs += [(url, application) for application in entry["applications"] if url]
        twice = {need for need in needs if needs.count(need) > 1}
        assert not twice, f"{name} refuses its settings: two servers need {twice}"

    def _hand_over(self) -> None:
        """Find who serves each server: of those with a Lease the oldest, of others the newest.

        One with a Lease takes the server from one without, and takes it back. One without that has
        handed over only waits for its end.
        """
        self._owners = {}
        for process in sorted(self._running.values(), key=lambda item: item.number):
            for server_id in self._served(process):
                if (process.number, server_id) in self._handed_over:
                    continue
                owner = self._owners.setdefault(server_id, process)
                is_theirs = self._served(owner)[server_id] or server_id in self._unreachable
                if owner is not process and not is_theirs:
                    self._handed_over.add((owner.number, server_id))
                    self._owners[server_id] = process

    @property
    def _unreachable(self) -> set[str]:
        return {*self.problems, *self.clinging}

    def _served(self, process: Process) -> dict[str, bool]:
        """Return the server_ids of an ingest's servers, and whether it has a Lease for each."""
        if "-ingest-" not in process.deployment:
            return {}
        settings = json.loads(self.of("ConfigMap", process.deployment)["data"][SETTINGS_FILE])
        entries = settings.get("servers", [settings])
        return {entry["server_id"]: "lease" in entry for entry in entries}

    def _answer(self, process: Process, own: list[Deployed]) -> None:
        for server in own:
            is_active = self._owners.get(server.server_id or server.server) is process
            query = query_name(process.pod, server.server_id)
            self.dialogs[query] = self.calls.get(server.server, 0) if is_active else 0
            if "-ingest-" in process.deployment:
                self.active[query] = is_active
        if any(server.server_id for server in own):
            self.server_checks[process.pod] = {
                server.server_id: self._problem(process, server) for server in own
            }

    def _count_ready(self, process: Process, own: list[Deployed]) -> None:
        """Have the pod ready while any of its servers is served."""
        is_ready = any(not self._problem(process, server) for server in own)
        self.run(process.deployment, ready=None if is_ready else 0)

    def _problem(self, process: Process, server: Deployed) -> str:
        if (process.number, server.server_id or server.server) in self._handed_over:
            return "websocket: another ingest has taken over; stop this one"
        return self.problems.get(server.server, "") if server.server_id else ""

    def _servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = status(self.observed, {})["servers"]
        return found

    @property
    def served(self) -> set[str]:
        """The server_ids that an ingest has, and no other one has taken over."""
        return set(self._owners)

    @property
    def places(self) -> dict[str, list[str]]:
        """The servers of each slot, as the cluster has them."""
        found: dict[str, list[str]] = {}
        for server in self.observed.deployed:
            found.setdefault(server.slot, []).append(server.server)
        return found

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
