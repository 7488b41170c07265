"""Faults in the files that the settings name: each is read as the services read it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.bus.nats.account_files import check_account_files
from ari_proxy.connections import bus_options, certificates, tls
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.files import read_value
from ari_proxy.settings.ingest import LeaseSettings
from ari_proxy.settings.load import Settings


def check_all(servers: Sequence[Settings]) -> None:
    """Read every file that the settings of some servers name.

    Raises:
        SettingsError: one line per unusable file; with its server, if there are several.
    """
    found: list[str] = []
    for settings in servers:
        try:
            check(settings)
        except SettingsError as error:
            name = f"{settings.server_id}: " if len(servers) > 1 else ""
            found += [name + problem for problem in error.problems]
    if found:
        raise SettingsError(found)


def check(settings: Settings) -> None:
    """Read every file that the settings name.

    Raises:
        SettingsError: one line per unusable file, without its contents.
    """
    found: list[str] = []
    for read in (*_of_connections(settings), *_of_lease(settings.lease)):
        try:
            read()
        except SettingsError as error:
            found += error.problems
        except BusSettingsError as error:
            found.append(str(error))
    if found:
        raise SettingsError(found)


def _of_connections(settings: Settings) -> Iterator[Callable[[], object]]:
    ari, bus = settings.ari, settings.bus
    yield partial(bus_options.address_of, bus)
    for setting, file in (
        ("ari.user_file", ari.user_file),
        ("ari.password_file", ari.password_file),
        ("bus.user_file", bus.user_file),
        ("bus.password_file", bus.password_file),
        ("bus.token_file", bus.token_file),
    ):
        yield partial(read_value, setting, "", file)
    yield partial(check_account_files, bus.credentials_file, "")
    yield partial(check_account_files, "", bus.nkey_seed_file)
    yield partial(tls.tls_context, "ari", ari)
    yield partial(tls.server_context, ari)
    yield partial(tls.tls_context, "bus", bus)


def _of_lease(lease: LeaseSettings) -> Iterator[Callable[[], object]]:
    """Yield only files set explicitly: the defaults exist only in a pod."""
    if "token_file" in lease.model_fields_set:
        yield partial(read_value, "lease.token_file", "", lease.token_file)
    if "ca_file" in lease.model_fields_set:
        yield partial(certificates.client_context, "lease", lease.ca_file)
