"""A Kubernetes API server in memory: lists, watches, applies, Leases; and pods that run at once.

It has what the operator uses, and counts requests. Of server-side apply it has what one manager
sees: a field group that is applied again is replaced, and an apply without a difference writes
nothing. tests/e2e has a real one.
"""

import asyncio
import bisect
import copy
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from aiohttp import web

from ari_proxy.operator.kubernetes import CHILDREN
from ari_proxy.operator.model import GROUP, KIND, PLURAL, VERSION

Object = dict[str, Any]
_KINDS = {plural: (kind, group, version) for kind, (group, version, plural) in CHILDREN.items()}
_KINDS |= {
    PLURAL: (KIND, GROUP, VERSION),
    "pods": ("Pod", "", "v1"),
    "secrets": ("Secret", "", "v1"),
    "events": ("Event", "events.k8s.io", "v1"),
}


class Key(NamedTuple):
    """A place of an object."""

    plural: str
    namespace: str
    name: str


class _Change(NamedTuple):
    version: int
    type: str
    key: Key
    before: Object | None
    after: Object | None


@dataclass(frozen=True)
class _Target:
    """What a request's path names."""

    plural: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        return Key(self.plural, self.namespace, self.name)


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class ApiServer:
    """The cluster's objects, and what has been asked."""

    #: Whether pods of Deployments run, and are ready, at once.
    has_kubelet: bool = True
    #: Images whose pods are not ready before the test says so; those of a former template go on.
    held_images: set[str] = field(default_factory=set)
    objects: dict[Key, Object] = field(default_factory=dict)
    #: By verb and plural.
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: By verb and plural: the status of the answer to such requests.
    refused: dict[tuple[str, str], int] = field(default_factory=dict)
    #: Bytes sent in answers to lists and watches.
    sent_bytes: int = 0
    #: The newest version.
    version: int = 1000
    _changes: list[_Change] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _first_version: int = 0
    _watches: set[asyncio.Task[Any]] = field(default_factory=set)

    # What a test does

    def create(self, plural: str, item: Object) -> Object:
        """Create or replace an object, as somebody else does."""
        kind, group, version = _KINDS[plural]
        head = {"apiVersion": f"{group}/{version}" if group else version, "kind": kind}
        metadata = item["metadata"]
        key = Key(plural, metadata["namespace"], metadata["name"])
        return self._write(key, {**head, **copy.deepcopy(item)})

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object and what it owns."""
        key = Key(plural, namespace, name)
        before = self.objects.pop(key)
        self.version += 1
        gone = copy.deepcopy(before)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell(_Change(self.version, "DELETED", key, before, gone))
        uid = before["metadata"]["uid"]
        for owned in [key for key, item in self.objects.items() if uid in _owners(item)]:
            if owned in self.objects:
                self.delete(*owned)

    def of(self, plural: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind."""
        return [
            item
            for key, item in self.objects.items()
            if key.plural == plural and namespace in {None, key.namespace}
        ]

    def held(self) -> list[Key]:
        """Return the Deployments with a pod that is held."""
        return [
            key
            for key, item in self.objects.items()
            if key.plural == "deployments"
            and item["status"]["updatedReplicas"] < item["status"]["replicas"]
        ]

    def fail(self, key: Key) -> None:
        """Have a Deployment's roll-out exceed its deadline."""
        deployment = copy.deepcopy(self.objects[key])
        condition = {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": "has timed out progressing",
        }
        deployment["status"]["conditions"] = [condition]
        self._write(key, deployment)

    def release(self, key: Key) -> None:
        """Make the pods of a held Deployment ready."""
        deployment = copy.deepcopy(self.objects[key])
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        replicas = deployment["spec"].get("replicas", 1)
        deployment["status"] = {
            **dict.fromkeys(counts, replicas),
            "observedGeneration": deployment["metadata"]["generation"],
        }
        self._write(key, deployment)

    def forget_changes(self) -> None:
        """Answer 410 to watches from before."""
        self._changes.clear()
        self._first_version = self.version + 1

    def cut_watches(self) -> None:
        """Break the connections of all watches."""
        for watch in self._watches:
            watch.cancel()

    @property
    def total(self) -> int:
        """Return the number of requests."""
        return sum(self.requests.values())

    # Writing

    def _write(self, key: Key, item: Object) -> Object:
        before = self.objects.get(key)
        item = _with_metadata(item, before, self.version + 1)
        if before is not None and _content(before) == _content(item):
            return before
        self.version += 1
        self.objects[key] = item
        change = "ADDED" if before is None else "MODIFIED"
        self._tell(_Change(self.version, change, key, before, item))
        if key.plural == "deployments" and self.has_kubelet:
            self._run(key)
        return item

    def _tell(self, change: _Change) -> None:
        self._changes.append(change)
        self._changed.set()
        self._changed = asyncio.Event()

    def _run(self, key: Key) -> None:
        """Make a Deployment's pods ready, unless they are, or are held."""
        deployment = copy.deepcopy(self.objects[key])
        replicas = deployment["spec"].get("replicas", 1)
        if _images(deployment) & self.held_images and "status" in deployment:
            self._hold(key, deployment, replicas)
            return
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        deployment["status"] = {
            **dict.fromkeys(counts, replicas),
            "observedGeneration": deployment["metadata"]["generation"],
        }
        template = deployment["spec"]["template"]["metadata"]
        for number in range(replicas):
            metadata = {
                "name": f"{key.name}-{number}",
                "namespace": key.namespace,
                "labels": template["labels"],
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "ReplicaSet",
                        "name": key.name,
                        "uid": deployment["metadata"]["uid"],
                    }
                ],
            }
            self.create("pods", {"metadata": metadata, "spec": {}, "status": RUNNING})
        self._write(key, deployment)

    def _hold(self, key: Key, deployment: Object, replicas: int) -> None:
        if deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]:
            return
        deployment["status"] = {
            "replicas": replicas + 1,
            "updatedReplicas": 1,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
            "observedGeneration": deployment["metadata"]["generation"],
        }
        self._write(key, deployment)

    def _applied(self, target: _Target, body: Object) -> Object:
        before = copy.deepcopy(self.objects.get(target.key))
        if target.subresource:
            if before is None:
                raise _RefusedError(404, f"there is no {target.name}")
            return self._write(target.key, {**before, "status": body["status"]})
        metadata = {**(before or {}).get("metadata", {}), **body["metadata"]}
        return self._write(target.key, {**(before or {}), **body, "metadata": metadata})

    def _replaced(self, target: _Target, body: Object) -> Object:
        before = self.objects.get(target.key)
        if before is None:
            raise _RefusedError(404, f"there is no {target.name}")
        if body["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            raise _RefusedError(409, f"{target.name} has been changed")
        return self._write(target.key, body)

    def _created(self, target: _Target, body: Object) -> Object:
        key = Key(target.plural, target.namespace, body["metadata"]["name"])
        if key in self.objects:
            raise _RefusedError(409, f"{key.name} exists")
        return self._write(key, body | {"metadata": {**body["metadata"], "namespace": key[1]}})

    # HTTP

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        """Serve it around a block; yields the port."""
        application = web.Application(client_max_size=4 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            self.cut_watches()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        found = _discovery(request.path)
        if found is not None:
            return web.json_response(found)
        target = _target(request.path)
        verb = _verb(request, target)
        self.requests[verb, target.plural] += 1
        try:
            if status := self.refused.get((verb, target.plural)):
                raise _RefusedError(status, "refused by the test")
            if verb == "watch":
                return await self._watch(request, target)
            return self._json(await self._done(request, verb, target))
        except _RefusedError as error:
            return web.json_response(_status(error.status, str(error)), status=error.status)

    async def _done(self, request: web.Request, verb: str, target: _Target) -> Object:
        if verb == "list":
            return self._listed(request, target)
        if verb == "get":
            return self._found(target)
        if verb == "delete":
            self._found(target)
            self.delete(*target.key)
            return _status(200, "")
        body = yaml.safe_load(await request.text()) if verb == "patch" else await request.json()
        writes = {"patch": self._applied, "update": self._replaced, "create": self._created}
        return writes[verb](target, body)

    def _json(self, content: Object) -> web.Response:
        body = json.dumps(content).encode()
        self.sent_bytes += len(body)
        return web.Response(body=body, content_type="application/json")

    def _found(self, target: _Target) -> Object:
        if target.key not in self.objects:
            raise _RefusedError(404, f"there is no {target.name}")
        return self.objects[target.key]

    def _listed(self, request: web.Request, target: _Target) -> Object:
        selector = _selector(request)
        found = [
            item
            for item in self.of(target.plural, target.namespace or None)
            if _matches(item, selector)
        ]
        start = int(request.query.get("continue") or 0)
        end = start + int(request.query.get("limit") or len(found) or 1)
        metadata = {"resourceVersion": str(self.version)}
        if end < len(found):
            metadata["continue"] = str(end)
        kind, group, version = _KINDS[target.plural]
        head = {"kind": f"{kind}List", "apiVersion": f"{group}/{version}" if group else version}
        items = [{k: v for k, v in item.items() if k not in head} for item in found[start:end]]
        return {**head, "metadata": metadata, "items": items}

    async def _watch(self, request: web.Request, target: _Target) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or self.version)
        if since < self._first_version - 1:
            raise _RefusedError(410, "too old resource version")
        answer = web.StreamResponse()
        answer.content_type = "application/json"
        await answer.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            await self._follow(answer, target, _selector(request), since)
        finally:
            self._watches.discard(task)
        return answer

    async def _follow(
        self, answer: web.StreamResponse, target: _Target, selector: Mapping[str, str], since: int
    ) -> None:
        with suppress(ConnectionResetError):
            while True:
                changed = self._changed
                lines = [
                    json.dumps(event).encode() + b"\n"
                    for event in self._events(target, selector, since)
                ]
                since = self.version
                if lines:
                    self.sent_bytes += sum(map(len, lines))
                    await answer.write(b"".join(lines))
                    continue
                await changed.wait()

    def _events(self, target: _Target, selector: Mapping[str, str], since: int) -> Iterator[Object]:
        first = bisect.bisect_right(self._changes, since, key=lambda change: change.version)
        for change in self._changes[first:]:
            if change.key.plural != target.plural:
                continue
            if target.namespace and change.key.namespace != target.namespace:
                continue
            was = change.before is not None and _matches(change.before, selector)
            is_ = change.type != "DELETED" and _matches(change.after or {}, selector)
            if was or is_:
                kind = "DELETED" if not is_ else "MODIFIED" if was else "ADDED"
                yield {"type": kind, "object": change.after}


#: The status of a pod that runs and is ready.
RUNNING: Object = {
    "phase": "Running",
    "podIP": "127.0.0.1",
    "conditions": [{"type": "Ready", "status": "True"}],
}


def kubeconfig(directory: Path, port: int, namespace: str = "default") -> str:
    """Write a configuration for the server at a port; return its path."""
    path = directory / f"kubeconfig-{namespace}"
    context = {"cluster": "test", "user": "test", "namespace": namespace}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "test", "user": {"token": "test"}}],
                "contexts": [{"name": "test", "context": context}],
            }
        )
    )
    return str(path)


def _with_metadata(item: Object, before: Object | None, version: int) -> Object:
    metadata = {**item["metadata"]}
    former = before["metadata"] if before is not None else {}
    generation = former.get("generation", 0)
    if before is None or before.get("spec") != item.get("spec"):
        generation += 1
    metadata |= {
        "uid": former.get("uid") or metadata.get("uid") or f"uid-{version}",
        "creationTimestamp": former.get("creationTimestamp")
        or metadata.get("creationTimestamp")
        or "2026-11-24T10:00:00Z",
        "generation": generation,
        "resourceVersion": str(version),
    }
    return {**item, "metadata": metadata}


def _content(item: Object) -> Object:
    return {**item, "metadata": {**item["metadata"], "resourceVersion": ""}}


def _images(deployment: Object) -> set[str]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {container["image"] for container in containers}


def _owners(item: Object) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences") or ()}


def _selector(request: web.Request) -> dict[str, str]:
    parts = request.query.get("labelSelector", "").split(",")
    return dict(part.split("=", 1) for part in parts if part)


def _matches(item: Object, selector: Mapping[str, str]) -> bool:
    labels = item.get("metadata", {}).get("labels") or {}
    return all(labels.get(name) == value for name, value in selector.items())


def _target(path: str) -> _Target:
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *_ = [*rest, "", ""]
    return _Target(plural, namespace, name, subresource)


def _verb(request: web.Request, target: _Target) -> str:
    if request.method != "GET":
        methods = {"PATCH": "patch", "PUT": "update", "POST": "create", "DELETE": "delete"}
        return methods[request.method]
    if request.query.get("watch") == "true":
        return "watch"
    return "get" if target.name else "list"


def _status(code: int, message: str) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message, "metadata": {}}


def _discovery(path: str) -> Object | None:
    """Return what the server says of its kinds: kopf looks for ours, and for three of its own."""
    groups = {GROUP: VERSION, "apiextensions.k8s.io": "v1"}
    answers: dict[str, Object] = {
        "/version": {"major": "1", "minor": "35"},
        "/api": {"versions": ["v1"]},
        "/api/v1": {"resources": [_kind("Event"), _kind("Namespace", is_namespaced=False)]},
        "/apis": {"groups": [_group(name, version) for name, version in groups.items()]},
        f"/apis/{GROUP}/{VERSION}": {"resources": [{**_kind(KIND), "name": PLURAL}]},
        "/apis/apiextensions.k8s.io/v1": {
            "resources": [_kind("CustomResourceDefinition", is_namespaced=False)]
        },
    }
    return answers.get(path)


def _group(name: str, version: str) -> Object:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _kind(kind: str, *, is_namespaced: bool = True) -> Object:
    return {
        "name": f"{kind.lower()}s",
        "singularName": kind.lower(),
        "namespaced": is_namespaced,
        "kind": kind,
        "verbs": ["get", "list", "watch", "patch"],
    }
