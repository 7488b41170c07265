"""The operator's settings, from the environment: `ARI_PROXY_<NAME>`, as those of the services."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ari_proxy.__about__ import __version__

from . import environment
from .environment import Environment
from .errors import SettingsError
from .problems import problems_of
from .process import AdminSettings, LogSettings


class _Group(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PodTemplateSettings(_Group):
    """What is merged into the pod templates of all resources."""

    metadata: dict[str, Any] = {}
    """Labels and annotations, as `podTemplate.metadata` of a resource."""

    spec: dict[str, Any] = {}
    """Merged before `podTemplate.spec` of the resource; null removes a field."""


class WorkloadSettings(_Group):
    """Defaults of ingest or command for all resources."""

    resources: dict[str, Any] | None = None
    """Compute resources where the resource has none. Default: the operator's own."""

    pod_template: PodTemplateSettings = PodTemplateSettings()

    service_account_annotations: dict[str, str] = {}
    """Annotations of the ServiceAccounts that the operator creates, as of a workload identity."""


class OperatorSettings(BaseSettings):
    """The operator's settings; everything else is in the resources."""

    model_config = SettingsConfigDict(
        env_prefix="ARI_PROXY_",
        env_nested_delimiter="__",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    namespaces: tuple[str, ...] = ()
    """Namespaces to watch. Default: all."""

    ingest_image: str = f"ari-proxy-ingest:{__version__}"
    """Image of ingest for resources that name none. Default: the one of `make images`."""

    command_image: str = f"ari-proxy-command:{__version__}"
    """Image of command for resources that name none."""

    ingest_defaults: WorkloadSettings = WorkloadSettings()
    """Defaults of ingest for all resources, which may have others."""

    command_defaults: WorkloadSettings = WorkloadSettings()
    """The same for command."""

    admin_peers: tuple[dict[str, Any], ...] | None = None
    """NetworkPolicyPeers that may reach the admin API of ingest and command: each resource gets a
    NetworkPolicy. Default: no NetworkPolicies."""

    calls_peers: tuple[dict[str, Any], ...] = ()
    """NetworkPolicyPeers that may also reach what shows calls: /dialogs and the console of ingest.
    Default: nobody."""

    workers: int = Field(default=4, ge=1, le=64)
    """Number of resources reconciled concurrently."""

    max_servers_at_once: int = Field(default=20, ge=1)
    """Servers of all resources whose pods are replaced at once. A new image of the installation
    goes no further when as many do not become ready."""

    lease_namespace: str = "kube-system"
    """Namespace of the Lease by which operators for all namespaces agree on one of them. It must be
    the same for all of a cluster. Operators for some namespaces have a Lease in each of those."""

    lease_seconds: int = Field(default=15, ge=3, le=300)
    """Seconds until another operator takes over from one that has crashed."""

    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment as the services do."""
        return (init_settings, Environment(settings_cls))


def load_operator() -> OperatorSettings:
    """Return the effective settings.

    Raises:
        SettingsError: with the place of every bad value.
    """
    fields = OperatorSettings.model_fields
    found = environment.unknown_variables(fields)
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        found += problems_of(error, "the environment", fields)
        raise SettingsError(found) from error
    if found:
        raise SettingsError(found)
    return settings
