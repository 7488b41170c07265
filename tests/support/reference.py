"""Writes docs/reference from code and contract, all but the prose: `make reference`."""

from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ari_proxy import schemas
from ari_proxy.settings import names
from ari_proxy.settings.load import Settings
from ari_proxy.settings.operator import OperatorSettings
from ari_proxy.telemetry.metrics_table import TABLE
from tests.support import asyncapi, log_reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "reference"

SETTINGS_HEAD = """# Settings

Generated from the code by `make reference`; a test keeps it up to date.

Settings come from the environment, then the configuration file (`--config FILE` or
`ARI_PROXY_CONFIG`), then the defaults: the first source with a value wins. In the environment a list
is separated by commas or written as JSON: `ARI_PROXY_APPLICATIONS=ivr,voicemail` or
`'["ivr","voicemail"]'`. `ari-proxy check-config` prints the effective settings with secrets masked,
or all errors, including those in the files that settings name. A variable `ARI_PROXY_…` that matches
no setting is an error; those that Kubernetes sets for a Service called `ari-proxy…` are ignored.

**Several servers** share one process if `servers` lists them. A server has its `server_id`, and what it
needs of its own: `applications`, and settings of the groups `ari`, `ingest`, `lease` and `command`, which
win over those beside `servers`, the environment's too. All else is of the process:

```json
{
  "applications": ["ivr"],
  "ari": {"user": "proxy", "max_connections": 16},
  "bus": {"urls": ["nats://nats.example:4222"]},
  "servers": [
    {"server_id": "berlin", "ari": {
      "websocket_url": "ws://berlin.example:8088/ari/events",
      "rest_url": "http://berlin.example:8088/ari",
      "password_file": "/etc/ari-proxy/berlin"}},
    {"server_id": "lyon", "applications": ["ivr", "fax"], "ari": {
      "websocket_url": "ws://lyon.example:8088/ari/events",
      "rest_url": "http://lyon.example:8088/ari",
      "password_file": "/etc/ari-proxy/lyon"}}
  ]
}
```

Each has its own connections, the bus's included, its own bounds (`bus.buffer_bytes`, `command.max_pending`,
`ari.max_connections` are of one server) and its own lease: give each a `lease.file` or `lease.name` where you
name one. [Scale](../scale.md#several-servers-in-one-process) says what a further one costs, and the price.

User and password in a URL (`bus.url_file`, `bus_config.url`) are percent-encoded: `%` as `%25`, `#` as
`%23`, `/` as `%2F`, `?` as `%3F`, `@` as `%40`, `[` as `%5B`, `]` as `%5D`, a comma as `%2C` and a
blank as `%20`. A file that changes at run time is read again; while its content is invalid, the former
content stays in force and a warning is logged.

The configuration file is JSON. In ari-proxy's own format it is an object with the groups below, and
unknown names are errors. A file in the format of go-ari-proxy's `config.json` (`config.example.json`)
is read as go-ari-proxy reads it: keys in any case, `null` for the default; unknown keys are ignored
with a warning. It may also contain the groups below.

| key of go-ari-proxy | setting |
| --- | --- |
| `origin` | `ari.origin` |
| `server_id` | `server_id` |
| `applications` | `applications` |
| `websocket_url` | `ari.websocket_url` |
| `stasis_url` | `ari.rest_url` |
| `ws_user`, `ws_password` | `ari.user`, `ari.password` |
| `message_bus` | `bus.kind` |
| `bus_config.url` | `bus.urls`, separated by commas; credentials: `bus.user`, `bus.password` |
| `bus_config.queue` | `bus.queue` |
"""

OPERATOR_HEAD = """## The operator

Read from the environment only, with `admin` and `log` as above; set by the chart.

"""

METRICS_HEAD = """# Metrics

Generated from the code by `make reference`; a test keeps it up to date.

`GET /metrics` of each component's admin API (`admin.port`). Labels are bounded: never a dialog, a
channel or a URL. `operation` is a method with the path template of Asterisk's API, or `other`.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
"""


def settings() -> str:
    """Return docs/reference/settings.md."""
    parts = [SETTINGS_HEAD]
    groups = Settings.model_fields
    parts.append(_section("", {n: f for n, f in groups.items() if not _is_group(f)}))
    for name, group in groups.items():
        if _is_group(group):
            model: Any = group.annotation
            parts.append(_section(name, model.model_fields, model.__doc__))
    own = {
        ".".join(path): field
        for path, field in names.paths(OperatorSettings.model_fields)
        if path[0] not in {"admin", "log"} and not _is_group(field)
    }
    parts.append(OPERATOR_HEAD + _section("", own))
    return "\n".join(parts)


def _is_group(info: FieldInfo) -> bool:
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)


def _section(group: str, fields: dict[str, FieldInfo], about: str = "") -> str:
    prefix = f"{group}." if group else ""
    lines = [f"## `{group}`\n\n{about}\n" if group else ""]
    lines += ["| setting | environment | default | meaning |", "| --- | --- | --- | --- |"]
    for name, info in fields.items():
        variable = "ARI_PROXY_" + f"{group}__{name}".removeprefix("__").replace(".", "__").upper()
        default = _shown(info.get_default())
        meaning = " ".join(f"{info.description}{_allowed(info)}".split())  # A row is one line.
        lines.append(f"| `{prefix}{name}` | `{variable}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _allowed(info: FieldInfo) -> str:
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    if len(choices) > 1:
        return " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    bounds = [
        f"{word} {getattr(limit, key):g}"
        for limit in info.metadata
        for key, word in (("ge", "from"), ("gt", "above"), ("le", "to"))
        if hasattr(limit, key)
    ]
    return f" ({' '.join(bounds)})" if bounds else ""


def _shown(value: object) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value is None or value == "":
        return ""
    if isinstance(value, tuple):
        value = "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`"


def metrics() -> str:
    """Return docs/reference/metrics.md."""
    rows = [
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels)} "
        f"| {row.help} |"
        for row in TABLE
    ]
    return METRICS_HEAD + "\n".join(rows) + "\n"


ARIPROXY_HEAD = """# AriProxy

Generated from k8s/crds/ariproxies.yaml by `make reference`; a test compares the two. k8s/samples has
examples; `kubectl explain ariproxy.spec` shows the same fields.

**An AriProxy** (`ari-proxy.io/v1alpha1`, short name `ari`) names a bus and Asterisk servers. For each
server the operator creates two Deployments, `<resource>-ingest-<server>` and
`<resource>-command-<server>`, and the objects that they need. Secrets are read from the resource's own
namespace; they are mounted as files and may change during calls. Pod settings without a field here,
such as tolerations, go into `podTemplate`; so do settings of ari-proxy without a field here, such as a
policy per application, as environment variables of the container (`ARI_PROXY_COMMAND__APPLICATIONS`,
see [Settings](settings.md)).

**A new ingest starts before the old one stops.** It takes over the dialogs without losing an event: for
new images and settings, and when the operator itself is upgraded. With two replicas one stands by. A
Lease decides which one is active; while the Kubernetes API is unreachable, the active one continues. An
ingest with a Lease keeps it, even if it is scaled down to one replica.

**A removed server** (no longer listed, or its pod deleted) keeps its Deployments until its ingests have
no open dialogs, but not longer than `drainTimeoutSeconds`. A discovered server keeps them for at least
30 s, since a StatefulSet replaces a pod under its old name. The operator also waits for an ingest that
does not report its open dialogs, for example as it has not reached Asterisk yet; `Progressing` and the
operator's log give the reason. As long as the server has dialogs, its ingest is replaced once by one that ends what
is left when its time is over (`ingest.final`): applications get `ProxyDialogEnded` with the reason
`server_removed`, and `noListener` applies to the calls.

**A deleted resource** is drained the same way with `drainOnDeletion`: a finalizer (`ari-proxy.io/drain`) holds it
until its dialogs are over, at most `drainTimeoutSeconds`. Without that, its pods go at once, calls stay in Stasis
with nobody connected, and applications are not told. The finalizer needs a running operator: if you
have uninstalled it, remove it with `kubectl patch ari NAME --type=merge -p '{"metadata":{"finalizers":null}}'`. A
deletion of the namespace, or one in the foreground (`--cascade=foreground`, Argo CD's default; set
`PrunePropagationPolicy=background`), deletes the Deployments beside the resource: nothing is left to drain.

**Scaling by others.** Without `command.replicas` and `command.autoscaling` the operator leaves the number of executors
alone: a HorizontalPodAutoscaler of your own, or a ScaledObject of KEDA, may have the Deployment
`<resource>-command-<server>` as its target, and scale it to 0, which `ScaledToZero` tells. AriProxy itself has no
`scale` subresource: it has a Deployment for each server, and an autoscaler would take the pods of all for those of
one. The number of ingests is always the resource's, since a second one needs a Lease.

**To rename a server** change its `name` and set its `serverId` to the former one: the new ingest takes the dialogs
over. With a Lease, or with a new `serverId`, it is served once the former one has drained (`AwaitingDrain`): an
application of an Asterisk has one client, and the calls would be announced a second time.

**Passwords change** without a restart. Change the Secret and reload Asterisk (`module reload
res_ari.so`) within the minute that the kubelet needs to update the file; meanwhile ari-proxy repeats
each refused request with the other password.

## Status

`kubectl get ariproxies` shows whether all servers are served (`READY`), the reason if not, how a roll-out
goes (`ROLLOUT`: the reason of `Progressing`), the numbers of servers and of ready servers, and whether the
operator is suspended. The operator records changes as Events of the resource.
Conditions:

| condition | meaning of `True` | reasons |
| --- | --- | --- |
| `Accepted` | the spec can be applied | `Valid`; `ServerIdConflict`: an older resource serves that server_id on the same bus; `PodTemplateInvalid`: nothing of the servers is changed; `ServersNotShareable`: with `pods: Shared`, two servers are the same application of an Asterisk, or have other certificates of `outbound` |
| `Progressing` | Deployments are rolling out, or a removed server is draining | `RollingOut`, `Draining`, `Settled`; `RolloutQueued`: it waits for those of other resources; `RolloutStopped` (status `False`): the new pods of a server do not become ready, or do not serve it any more, so the others keep theirs; or why a roll-out is stuck, such as `ImagePullBackOff`, `FailedCreate` or `ProgressDeadlineExceeded` |
| `Ready` | all servers are served | `AllServersReady`, `NoServersFound`, `ApplyFailed` with the API server's message, `NameTaken`, `Deleting`, or the reason of a server. `Unknown` with `ReconcileFailed`: the operator can't reconcile the resource, for example as it lacks a right; it tries again |
| `Degraded` | calls are served, but a server, a replica or a new version is missing | `ServersImpaired`, or why a roll-out is stuck; `KindMissing` for a PodMonitor; `NotDegraded` |
| `Suspended` | `spec.suspend` is set; the message has the objects that differ from the spec | `Suspended`, `Active` |
| `Stalled` | somebody has to do something first: a Secret is missing, a roll-out is stuck, an object was refused | the reason of what is wrong, `NotStalled` |
| `Reconciling` | the state becomes the desired one by itself | as `Progressing`; `Stalled` |

`Stalled`, `Reconciling` and `Ready` are those of kstatus, which Flux and others wait by; `observedGeneration` is set in
the status and in each condition.

Each server has the conditions `ServerIdUnique`, `SecretsResolved` (`SecretMissing`, `SecretKeyMissing`),
`IngestReady` and `CommandReady` (`Serving`; `NotReady` with the pod's failing checks; `Starting`;
`ScaledToZero`; `ApplyFailed`; `NameTaken`; `AwaitingDrain`; or the reason why a roll-out is stuck). While a Secret is missing, the operator leaves
the server's running pods alone.

**The operator's objects are its own.** What is deleted or changed comes back, and what somebody adds to the
specification of a Deployment, a Service, a budget or an autoscaler, or to a ConfigMap, a Role or a RoleBinding,
is removed, such as an environment variable of `kubectl set env`, which would take precedence over the command
policy. The operator's log tells which field, and who added it (`object.additions_removed`). Metadata is everybody's:
labels and annotations stay, also in the pod template, so that `kubectl rollout restart` works. What pods need
besides goes into `podTemplate`.

**Objects of others are left alone.** If an object has the name of one that the operator would create, and this
resource does not control it (`ownerReferences` with `controller: true`), nothing of it is changed, and the
Deployments whose pods need it wait: `NameTaken` names the object and who controls it. Delete it, or use another
name for the resource or its server. Resources whose names collide (`a` with a server `ingest-b`, and `a-ingest`
with `b`) are told the same way.

## Fields

"""

_SHAPES: Final = {"object": "object", "array": "list"}


def logs() -> str:
    """Return docs/reference/logs.md."""
    return log_reference.text()


def ariproxy() -> str:
    """Return docs/reference/ariproxy.md."""
    crd = yaml.safe_load((ROOT / "k8s" / "crds" / "ariproxies.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    rows += _fields(schema["properties"]["spec"], "spec")
    rules = [f"- {place}: {text}" for place, text in _rules(schema, "")]
    return ARIPROXY_HEAD + "\n".join([*rows, "", "Further rules:", "", *rules, ""])


def _fields(schema: dict[str, Any], place: str) -> list[str]:
    rows = []
    for name, item in schema.get("properties", {}).items():
        path = f"{place}.{name}"
        needed = " **required**" if name in schema.get("required", ()) else ""
        default = item.get("default", "")
        shown = f"`{_yaml(default)}`" if default not in ("", {}) else ""
        about = item.get("description", "")
        rows.append(f"| `{path}` | {_type(item)}{needed} | {shown} | {about} |")
        inner = item.get("items", item)
        rows += _fields(inner, f"{path}[]" if "items" in item else path)
    return rows


def _type(item: dict[str, Any]) -> str:
    if "enum" in item:
        return ", ".join(f"`{choice}`" for choice in item["enum"])
    kind = item.get("type", "")
    if kind == "object" and "additionalProperties" in item:
        return "map"
    if kind == "array":
        return f"list of {item['items'].get('type', 'object')}s"
    if "type" not in item:
        return _number_or_share(item)
    bounds = [str(item[key]) for key in ("minimum", "maximum") if key in item]
    return f"{kind} {' to '.join(bounds)}".strip()


def _number_or_share(item: dict[str, Any]) -> str:
    """Return the type of an IntOrString; its pattern is that of a percentage."""
    least = f"integer from {item['minimum']}" if "minimum" in item else "integer"
    return f"{least}, or percentage" if "%" in item.get("pattern", "") else f"{least} or string"


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n...\n").strip()


def _rules(schema: dict[str, Any], place: str) -> list[tuple[str, str]]:
    found = [
        (f"`{place.lstrip('.')}`" if place else "the resource", rule["message"])
        for rule in schema.get("x-kubernetes-validations", ())
    ]
    for name, item in schema.get("properties", {}).items():
        found += _rules(item, f"{place}.{name}")
        if "items" in item:
            found += _rules(item["items"], f"{place}.{name}[]")
    return found


if __name__ == "__main__":
    (DOCS / "asyncapi.yaml").write_text(asyncapi.text())
    (DOCS / "ariproxy.md").write_text(ariproxy())
    (DOCS / "logs.md").write_text(logs())
    (DOCS / "settings.md").write_text(settings())
    (DOCS / "metrics.md").write_text(metrics())
    for document, text in schemas.documents().items():
        (DOCS / "schemas" / document).write_text(text)
