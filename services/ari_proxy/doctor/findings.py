"""Findings from Asterisk's responses, each fault with a remedy."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from ari_proxy.ari import advisories, features, versions

Level = Literal["ok", "warning", "fault"]
_SIGNS: Final[Mapping[Level, str]] = {"ok": "ok", "warning": "warn", "fault": "FAULT"}

#: An application of doctor's own: connecting with a real one would take it from its current client.
APPLICATION: Final = "ari-proxy-doctor"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    level: Level
    what: str
    found: str
    #: What to do about it, or ''.
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{_SIGNS[self.level]:>5}  {self.what}: {self.found}"
        return f"{line}\n       → {self.remedy}" if self.remedy else line


def of_info(status: int, body: str, *, today: date, is_outbound: bool = False) -> list[Finding]:
    """Judge `GET /asterisk/info`: the login, and Asterisk's identity and version.

    Args:
        status: of the response.
        body: of the response.
        today: the date, for the support of Asterisk's branch.
        is_outbound: whether Asterisk opens the websockets.
    """
    what = "Asterisk, REST"
    if status == _UNAUTHORIZED:
        return [Finding("fault", what, "401, wrong user or password", _LOGIN)]
    if status != _OK:
        remedy = (
            "set enabled=yes in http.conf and ari.conf, and check that ari.rest_url ends in /ari"
        )
        return [Finding("fault", what, f"unexpected status {status}", remedy)]
    found = version(body)
    return [
        Finding("ok", what, f"Asterisk {found or 'of unknown version'}"),
        *_support(found, today),
        *_known("advisory", advisories.concerning(found)),
        *_known("fault", advisories.faults(found, is_outbound=is_outbound)),
    ]


_LOGIN: Final = "compare ari.user and ari.password (or their files) with the user in ari.conf"


def version(body: str) -> str:
    """Return the version in the answer to `GET /asterisk/info`, or ''."""
    try:
        return str(json.loads(body)["system"]["version"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""


def _known(kind: str, faults: Iterable[advisories.Advisory]) -> list[Finding]:
    return [
        Finding(
            "warning",
            f"{kind} {fault.id}",
            fault.summary,
            f"upgrade Asterisk to one of {versions.words(fault.fixed)}",
        )
        for fault in faults
    ]


def _support(version: str, today: date) -> list[Finding]:
    """Tell until when the version's branch gets fixes."""
    numbers = versions.parse(version)
    support = versions.support(numbers) if numbers and not versions.is_certified(version) else None
    if numbers is None or support is None:
        return []
    what = f"Asterisk {numbers[0]}, support"
    if today >= support.security:
        return [Finding("warning", what, "it gets no fixes any more", _NEWER)]
    if today >= support.bugs:
        found = f"it gets security fixes only, until {support.security}"
        return [Finding("warning", what, found, _NEWER)]
    return [Finding("ok", what, f"it gets fixes until {support.bugs}")]


_NEWER: Final = "upgrade to a branch with long-term support: 22, or 24 once it suits you"


def of_write(status: int) -> Finding:
    """Judge the user's right to write by the hang-up of a channel that does not exist."""
    what = "Asterisk, user's rights"
    if status == _FORBIDDEN:
        return Finding("fault", what, "the user may only read", "set read_only=no in ari.conf")
    if status == _NOT_FOUND:
        return Finding("ok", what, "the user may read and write")
    return Finding("warning", what, f"status {status} instead of 404 for a missing channel")


def of_application(application: str, status: int) -> Finding:
    """Report whether a client serves the application now."""
    what = f"application {application}"
    if status == _OK:
        remedy = "unless it is ari-proxy, starting ingest takes the application away from it"
        return Finding("warning", what, "a client is connected for it now", remedy)
    return Finding("ok", what, "no client is connected for it")


def of_features(described: Collection[features.Feature]) -> list[Finding]:
    """Report which of ARI's newer features Asterisk has, by the versions that brought them.

    Args:
        described: those of its own description.
    """
    by_version: dict[str, list[features.Feature]] = {}
    for feature in features.FEATURES:
        by_version.setdefault(versions.words(feature.since), []).append(feature)
    return [
        Finding("ok", f"Asterisk, ARI of {since}", _availability(brought, described))
        for since, brought in by_version.items()
    ]


def _availability(
    brought: Iterable[features.Feature], described: Collection[features.Feature]
) -> str:
    there = ", ".join(feature.name for feature in brought if feature in described)
    missing = ", ".join(feature.name for feature in brought if feature not in described)
    found = (f"available: {there}" if there else "", f"not available: {missing}" if missing else "")
    return "; ".join(filter(None, found))


def of_clock(difference_seconds: float) -> Finding:
    """Judge the difference between Asterisk's clock and ours."""
    found = f"{abs(difference_seconds):.0f} s apart from Asterisk's"
    if abs(difference_seconds) > CLOCK_SECONDS:
        remedy = "synchronise both machines with NTP: timestamps and sequence numbers rely on it"
        return Finding("warning", "clock", found, remedy)
    return Finding("ok", "clock", found)


#: Largest tolerated difference; Asterisk's Date has whole seconds.
CLOCK_SECONDS: Final = 2.0


def of_transport(transport: str, *, takes_requests: bool) -> Finding:
    """Tell what carries commands to Asterisk.

    Args:
        transport: command.transport.
        takes_requests: whether Asterisk answers requests on a websocket.
    """
    what = "Asterisk, requests"
    if not takes_requests:
        found = "this Asterisk takes no requests on websockets (22.4, 20.14 and newer do)"
        if transport == "websocket":
            remedy = "set command.transport to auto, or upgrade Asterisk"
            return Finding("fault", what, f"no command is executed: {found}", remedy)
        return Finding("ok", what, f"commands go by HTTP: {found}")
    return Finding("ok", what, f"commands go {_CARRIED[transport]}")


def of_outbound_transport(transport: str) -> Finding:
    """Tell what carries commands where Asterisk opens the websockets, by command.transport."""
    carried = {
        "auto": "on websockets that Asterisk opens; files by HTTP",
        "websocket": "on websockets that Asterisk opens; files can't be had",
        "http": "by HTTP: command.transport says so",
    }
    return Finding("ok", "Asterisk, requests", f"commands go {carried[transport]}")


#: What carries commands where Asterisk takes them on websockets, by command.transport.
_CARRIED: Final[Mapping[str, str]] = {
    "auto": "on websockets; lists and files by HTTP",
    "websocket": "on websockets only; files can't be had",
    "http": "by HTTP: command.transport says so; on websockets they would cost less",
}


def of_sessions(connections: int, limit: int) -> Finding:
    """Report whether the proxy's connections fit into Asterisk's default limit."""
    found = f"one executor opens up to {connections} connections, ingest one"
    if connections >= limit:
        remedy = (
            f"lower ari.max_connections, or raise sessionlimit in http.conf ({limit} by default)"
        )
        return Finding("warning", "http.conf, sessionlimit", found, remedy)
    return Finding("ok", "http.conf, sessionlimit", f"{found}; the limit is {limit} by default")


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if there is a fault, else 0."""
    return int(any(finding.level == "fault" for finding in findings))
