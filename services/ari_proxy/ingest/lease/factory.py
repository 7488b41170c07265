"""Creates the lease from the settings."""

import socket
from pathlib import Path

from ari_proxy.protocol import ids
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import Settings

from .base import Lease, Unshared
from .file import FileLease
from .kubernetes import KubernetesLease
from .kubernetes_api import KubernetesApi, KubernetesLeaseStore


def lease(settings: Settings) -> Lease:
    """Return the lease of the server in the settings.

    Raises:
        SettingsError: the lock file can't be written.
    """
    wanted = settings.lease
    if wanted.kind == "file":
        path = Path(wanted.file)
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise SettingsError([f"lease.file {wanted.file}: {error.strerror}"]) from error
        return FileLease(path)
    if wanted.kind == "none":
        return Unshared()
    api = KubernetesApi(
        url=wanted.api_url,
        token_file=wanted.token_file,
        ca_file=wanted.ca_file,
        namespace=wanted.namespace,
    )
    # The pod's name, and a part that changes when its container restarts.
    identity = f"{socket.gethostname()}_{ids.random_id(8)}"
    name = wanted.name or f"ari-proxy-{settings.server_id}"
    store = KubernetesLeaseStore(api, name)
    return KubernetesLease(store, name, identity, duration_seconds=wanted.duration_seconds)
