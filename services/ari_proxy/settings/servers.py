"""Settings of several servers in one process: those of all, and what each has of its own.

One server is the usual case: without `servers`, the settings are its own.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from .errors import SettingsError
from .load import ServerSettings, Settings, Sources, load
from .problems import ServerEntry

#: What a server may have of its own; all else is of the process.
_OWN: Final = ("server_id", "applications", "ari", "ingest", "lease", "command")


def load_servers(config: Path | None = None, **overrides: object) -> tuple[Settings, ...]:
    """Return the effective settings of each server of a process; all have the same of the process.

    Args:
        config: a JSON file, as `load` takes it.
        overrides: groups or names that win over all sources (the command line's).

    Raises:
        SettingsError: with the place of every bad value.
    """
    sources = Sources.read(config, overrides)
    try:
        listed = sources.servers()
    except ValidationError as error:
        raise SettingsError(sources.problems_of(error)) from error
    if listed.servers is None:
        return (load(config, **overrides),)
    sources.check()
    if "server_id" in listed.model_fields_set:
        message = "each of `servers` has its own; leave this one out"
        raise SettingsError([sources.described("server_id", message)])
    servers, problems = _loaded(sources, listed.servers)
    if not problems:
        problems = [*_shared_by_two(servers, sources), *_other_certificates(servers, sources)]
    if problems:
        raise SettingsError(problems)
    return tuple(servers)


def _loaded(
    sources: Sources, entries: Sequence[ServerSettings]
) -> tuple[list[Settings], list[str]]:
    """Return the settings of all servers, and a line for each bad value."""
    servers: list[Settings] = []
    problems: dict[str, None] = {}  # What stands beside `servers` would be shown for each.
    for number, entry in enumerate(entries):
        own = entry.model_dump(exclude_unset=True)
        try:
            servers.append(sources.settings({**own, "servers": None}))
        except ValidationError as error:
            found = sources.problems_of(error, ServerEntry(number, own))
            problems |= dict.fromkeys(found)
    return servers, [*problems]


def _shared_by_two(servers: Sequence[Settings], sources: Sources) -> Iterator[str]:
    """Yield what two servers would take from each other."""
    owners: dict[tuple[str, str], int] = {}
    for number, server in enumerate(servers):
        for setting, value in _needs(server):
            owner = owners.setdefault((setting, value), number)
            if owner != number:
                name = f"servers.{number}.{setting}"
                message = f"{value} is that of servers.{owner} already"
                yield sources.described(name, message)


def _needs(server: Settings) -> Iterator[tuple[str, str]]:
    """Yield what a server needs for itself: the settings, and what they name."""
    yield "server_id", server.server_id
    lease = server.lease
    if lease.kind == "file":
        yield "lease.file", lease.file
    if lease.kind == "kubernetes" and lease.name:
        yield "lease.name", lease.name
    if server.ari.connection == "inbound":
        for application in server.applications:
            yield "ari.websocket_url", f"application {application} at {server.ari.websocket_url}"


def _other_certificates(servers: Sequence[Settings], sources: Sources) -> Iterator[str]:
    """Yield the servers that want other certificates than a former one at the same address."""
    first: dict[str, int] = {}
    for number, server in enumerate(servers):
        if server.ari.connection == "inbound":
            continue
        former = first.setdefault(server.ari.listen, number)
        if _certificates(servers[former]) != _certificates(server):
            message = (
                f"servers.{former} listens at {server.ari.listen} too, with other certificates: "
                "give both the same ari.listen_… files, or each an address"
            )
            yield sources.described(f"servers.{number}.ari.listen", message)


def _certificates(server: Settings) -> tuple[str, str, str]:
    ari = server.ari
    return ari.listen_certificate_file, ari.listen_key_file, ari.listen_client_ca_file


def as_text(servers: Sequence[Settings]) -> str:
    """Return the effective settings as JSON, in the form of a configuration; secrets masked."""
    shown: list[dict[str, Any]] = [server.model_dump(mode="json") for server in servers]
    if len(servers) > 1:
        process = {name: value for name, value in shown[0].items() if name not in _OWN}
        own = [{name: each[name] for name in _OWN} for each in shown]
        shown = [process | {"servers": own}]
    return json.dumps(shown[0], indent=2)
