"""Kubernetes' answers without a network: reads, writes of any kind, and watches that tell nothing.

A watch shows what there is when it begins, as one does whose connection stalls after that.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from lightkube import AsyncClient, SingleConfig
from lightkube.config.models import Cluster, Context, User

from ari_proxy.operator.kubernetes import Kubernetes

Object = dict[str, Any]


@dataclass
class ScriptedApi:
    """Objects by path, and what has been asked."""

    objects: dict[str, Object] = field(default_factory=dict)
    #: Method and path of each request.
    requests: list[tuple[str, str]] = field(default_factory=list)
    #: Called with method and path before each request is answered; returns the status of a refusal.
    before: Callable[[str, str], int | None] = lambda *_: None
    #: By method: seconds until it is answered.
    delays: dict[str, float] = field(default_factory=dict)
    _version: int = 1000

    @property
    def kubernetes(self) -> Kubernetes:
        """The operator's client of it."""
        config = SingleConfig("test", Context("test"), Cluster("http://test"), User())
        transport = httpx2.MockTransport(self._answer)
        return Kubernetes(AsyncClient(config=config, transport=transport, trust_env=False))

    def put(self, path: str, item: Object) -> Object:
        """Write an object as somebody else does; return it in its new version."""
        self._version += 1
        former = self.objects.get(path, {}).get("metadata", {})
        metadata = {"uid": f"uid-{self._version}", **former, **item["metadata"]}
        metadata["resourceVersion"] = str(self._version)
        self.objects[path] = {**item, "metadata": metadata}
        return self.objects[path]

    def paths(self, method: str) -> list[str]:
        """Return the paths of the requests of a method."""
        return [path for name, path in self.requests if name == method]

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        method, path = request.method, request.url.path
        self.requests.append((method, path))
        if "watch" in request.url.params:
            return httpx2.Response(200, stream=_Silence())
        await asyncio.sleep(self.delays.get(method, 0.0))
        status = self.before(method, path)
        if status is None:
            status, content = self._done(method, path, request)
        else:
            content = {}
        if status >= 300:
            content = {"kind": "Status", "code": status, "message": f"answers {status}"}
        return httpx2.Response(status, json=content)

    def _done(self, method: str, path: str, request: httpx2.Request) -> tuple[int, Object]:
        body = json.loads(request.content) if request.content else {}
        whole = path.removesuffix("/status")
        live = self.objects.get(whole)
        if method == "POST":
            return 201, self.put(f"{path}/{body['metadata']['name']}", body)
        if method == "GET" and path.endswith("s"):  # Plurals; no object's name does.
            return 200, self._listed(path)
        if live is None and (method != "PATCH" or whole != path):
            return 404, {}
        if method == "GET":
            return 200, live or {}
        if method == "DELETE":
            wanted = body.get("preconditions", {})
            if not wanted.items() <= (live or {})["metadata"].items():
                return 409, {}
            return 200, self.objects.pop(path)
        if method == "PUT" and not _is_same_version(live or {}, body):
            return 409, {}
        if isinstance(body, list):  # A JSON patch.
            body = live or {}
            body["metadata"].pop("resourceVersion")
        return 200, self.put(whole, _merged(live or {}, body))

    def _listed(self, path: str) -> Object:
        plural = path.rpartition("/")[2]
        found = [item for where, item in self.objects.items() if f"/{plural}/" in where]
        return {"metadata": {"resourceVersion": str(self._version)}, "items": found}


class _Silence(httpx2.AsyncByteStream):
    """The changes that a stalled watch tells."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


def _is_same_version(live: Object, body: Object) -> bool:
    return bool(live["metadata"]["resourceVersion"] == body["metadata"].get("resourceVersion"))


def _merged(live: Object, body: Object) -> Object:
    """Return an object with an apply's fields, and others' fields beside them."""
    return live | {
        name: live.get(name, {}) | value if isinstance(value, dict) else value
        for name, value in body.items()
    }
