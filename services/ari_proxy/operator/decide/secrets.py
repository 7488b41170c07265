"""Which Secrets the pods need, where they are mounted, and which are missing. Sans-I/O.

Secrets are mounted as files instead of environment variables: the services read them for each new
connection, so that a Secret may change during calls.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ari_proxy.operator.model import (
    AriProxy,
    LoginSecretRef,
    NatsSpec,
    OutboundSpec,
    RabbitMqSpec,
    TlsSpec,
)
from ari_proxy.operator.state import Observed

from .servers import DesiredServer

#: Where a pod mounts its Secrets.
DIRECTORY: Final = "/etc/ari-proxy/secrets"


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One key of a Secret, and the setting that holds the path of its file."""

    secret: str
    key: str
    group: str
    setting: str
    #: The server that alone reads it, where a pod has several.
    server: str = ""

    @property
    def path(self) -> str:
        """The path of its file below `DIRECTORY`."""
        return f"{_directory(self.server)}{self.group}/{self.setting.removesuffix('_file')}"


def _directory(server: str) -> str:
    return f"servers/{server}/" if server else ""


def of_server(server: DesiredServer) -> list[SecretFile]:
    """Return the files that a connection to an Asterisk server needs."""
    login = _login("ari", server.credentials)
    return [*login, *_tls("ari", server.tls), *_listener(server.outbound)]


def of_shared(server: DesiredServer) -> list[SecretFile]:
    """Return the same for a pod of several servers, which have one listener."""
    listener = _listener(server.outbound)
    return [
        file if file in listener else replace(file, server=server.name)
        for file in of_server(server)
    ]


def of_bus(proxy: AriProxy) -> list[SecretFile]:
    """Return the files that a connection to the bus needs."""
    bus = proxy.spec.bus
    if bus.rabbitmq is not None:
        return _rabbitmq(bus.rabbitmq)
    return _nats(bus.nats) if bus.nats is not None else []


def needed(proxy: AriProxy, server: DesiredServer) -> list[SecretFile]:
    """Return the files that the pods of a server need."""
    return [*of_server(server), *of_bus(proxy)]


def settings(files: Iterable[SecretFile]) -> dict[str, dict[str, str]]:
    """Return the settings, by group, with the paths of these files."""
    groups: dict[str, dict[str, str]] = {}
    for file in files:
        groups.setdefault(file.group, {})[file.setting] = f"{DIRECTORY}/{file.path}"
    return groups


def volume(files: Collection[SecretFile], optional: Collection[SecretFile] = ()) -> dict[str, Any]:
    """Return a pod's volume with these files.

    Args:
        files: those that all of the pod needs.
        optional: those without which it starts: they are one server's of several.
    """
    sources = [_source(name, found) for name, found in _by_secret(files).items()]
    for name, found in _by_secret(optional).items():
        source = _source(name, found)
        sources.append({"secret": {**source["secret"], "optional": True}})
    # Readable only by the pod's group, which is the group of the image's user.
    return {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}}


def _by_secret(files: Iterable[SecretFile]) -> dict[str, list[SecretFile]]:
    found: dict[str, list[SecretFile]] = {}
    for file in dict.fromkeys(files):
        found.setdefault(file.secret, []).append(file)
    return found


def _source(name: str, files: Iterable[SecretFile]) -> dict[str, Any]:
    return {"secret": {"name": name, "items": [_item(file) for file in files]}}


def files_in(pod_spec: Mapping[str, Any], groups: Mapping[str, Any]) -> list[SecretFile]:
    """Return the files that the settings of a server name, as a Deployment's pods have them."""
    values = {
        value for group in groups.values() if isinstance(group, Mapping) for value in group.values()
    }
    return [
        _placed(source["secret"]["name"], item["key"], item["path"])
        for volume in pod_spec.get("volumes") or ()
        for source in volume.get("projected", {}).get("sources", ())
        for item in source.get("secret", {}).get("items") or ()
        if f"{DIRECTORY}/{item['path']}" in values
    ]


def _placed(secret: str, key: str, path: str) -> SecretFile:
    *directory, group, name = path.split("/")
    return SecretFile(secret, key, group, f"{name}_file", directory[-1] if directory else "")


def missing(observed: Observed, server: DesiredServer) -> tuple[str, str] | None:
    """Return reason and message of the first Secret or key that a server lacks, or None."""
    return _missing(observed, needed(observed.proxy, server))


def is_bus_complete(observed: Observed) -> bool:
    """Return whether there is all that a connection to the bus needs, which all pods need."""
    return _missing(observed, of_bus(observed.proxy)) is None


def _missing(observed: Observed, files: Iterable[SecretFile]) -> tuple[str, str] | None:
    for file in files:
        keys = observed.secrets.get(file.secret)
        if keys is None:
            return "SecretMissing", f"there is no Secret {file.secret}; create it"
        if file.key not in keys:
            return "SecretKeyMissing", f"the Secret {file.secret} has no key {file.key}; add it"
    return None


def _item(file: SecretFile) -> dict[str, str]:
    return {"key": file.key, "path": file.path}


def _login(group: str, ref: LoginSecretRef | None) -> list[SecretFile]:
    if ref is None:
        return []
    return [
        SecretFile(ref.name, ref.username_key, group, "user_file"),
        SecretFile(ref.name, ref.password_key, group, "password_file"),
    ]


def _tls(group: str, tls: TlsSpec | None) -> list[SecretFile]:
    files = []
    if tls is not None and (ca := tls.ca_secret_ref) is not None:
        files.append(SecretFile(ca.name, ca.key, group, "ca_file"))
    if tls is not None and (own := tls.client_certificate_secret_ref) is not None:
        # The keys of a Secret of the type kubernetes.io/tls.
        files.append(SecretFile(own.name, "tls.crt", group, "certificate_file"))
        files.append(SecretFile(own.name, "tls.key", group, "key_file"))
    return files


def _listener(outbound: OutboundSpec | None) -> list[SecretFile]:
    files = []
    if outbound is not None and (own := outbound.certificate_secret_ref) is not None:
        files.append(SecretFile(own.name, "tls.crt", "ari", "listen_certificate_file"))
        files.append(SecretFile(own.name, "tls.key", "ari", "listen_key_file"))
    if outbound is not None and (ca := outbound.client_ca_secret_ref) is not None:
        files.append(SecretFile(ca.name, ca.key, "ari", "listen_client_ca_file"))
    return files


def _nats(nats: NatsSpec) -> list[SecretFile]:
    refs = {
        "url_file": nats.url_secret_ref,
        "credentials_file": nats.creds_secret_ref,
        "nkey_seed_file": nats.nkey_secret_ref,
        "token_file": nats.token_secret_ref,
    }
    files = [SecretFile(ref.name, ref.key, "bus", name) for name, ref in refs.items() if ref]
    return [*files, *_login("bus", nats.user_secret_ref), *_tls("bus", nats.tls)]


def _rabbitmq(rabbitmq: RabbitMqSpec) -> list[SecretFile]:
    ref = rabbitmq.url_secret_ref
    return [SecretFile(ref.name, ref.key, "bus", "url_file"), *_tls("bus", rabbitmq.tls)]
