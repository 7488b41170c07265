"""A cluster whose servers share pods: each pod serves the servers of its settings at once."""

import json
from datetime import timedelta
from typing import Any

from ari_proxy.operator.decide.slots import assigned
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


class SharedCluster(Cluster):
    """Its pods run, and their servers have calls if `calls` names them."""

    def __init__(self, *servers: str, pods: str = "Shared", **spec: Any) -> None:
        super().__init__(servers=listed(*servers), pods=pods, **spec)
        #: By server_id: open dialogs.
        self.calls: dict[str, int] = {}
        #: Servers whose former ingests have not handed their dialogs over yet.
        self.clinging: set[str] = set()
        #: By server_id: what keeps pods from serving it.
        self.problems: dict[str, str] = {}

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
        self.pods, self.server_checks, self.dialogs = [], {}, {}
        deployed = self.observed.deployed
        for key, item in self.children.items():
            if key.kind == "Deployment":
                self.pods.append(found := pod(key.name, labels=labels_of(item)))
                template = item["spec"]["template"]["metadata"]
                found["metadata"]["annotations"] = template["annotations"]
                own = [server for server in deployed if server.slot == slot_of(item)]
                self._start(key.name)
                self._answer(key.name, own)

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

    def _answer(self, name: str, own: list[Deployed]) -> None:
        for server in own:
            number = 0 if self._is_handed_over(server) else self.calls.get(server.server, 0)
            self.dialogs[query_name(name, server.server_id)] = number
        if any(server.server_id for server in own):
            self.server_checks[name] = {
                server.server_id: self.problems.get(server.server, "") for server in own
            }

    def _is_handed_over(self, server: Deployed) -> bool:
        """Return whether pods of another slot have taken a server's dialogs over."""
        slot = assigned(self.observed).get(server.server, server.slot)
        is_served = server.server not in self.problems and server.server not in self.clinging
        return is_served and any(
            item.server == server.server and item.slot == slot != server.slot
            for item in self.observed.deployed
        )

    def _servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = status(self.observed, {})["servers"]
        return found

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
