"""Findings from Asterisk's responses, each fault with a remedy."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ari_proxy.ari import advisories

Level = Literal["ok", "warning", "fault"]
_SIGNS: Final[Mapping[Level, str]] = {"ok": "ok", "warning": "warn", "fault": "FAULT"}

#: By feature of ARI: what in its own description shows it, and since when there is such.
FEATURES: Final = (
    ("report_events (a dialog's variable in each event)", '"report_events"', "22.10"),
    ("claim (calls that are offered to several applications)", '"claim', "22.7"),
)
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    found: str
    #: What to do, or ''.
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{_SIGNS[self.level]:>5}  {self.what}: {self.found}"
        return f"{line}\n       → {self.remedy}" if self.remedy else line


def of_info(status: int, body: str) -> list[Finding]:
    """Judge `GET /asterisk/info`: the login, and Asterisk's identity and version."""
    what = "Asterisk, REST"
    if status == _UNAUTHORIZED:
        return [Finding("fault", what, "401, wrong user or password", _LOGIN)]
    if status != _OK:
        remedy = (
            "see that http.conf and ari.conf say enabled=yes, and that ari.rest_url ends in /ari"
        )
        return [Finding("fault", what, f"it answers {status}", remedy)]
    version = _version(body)
    return [
        Finding("ok", what, f"Asterisk {version or 'of unknown version'}"),
        *_advisories(version),
    ]


_LOGIN: Final = "compare ari.user and ari.password (or their files) with the user in ari.conf"


def _version(body: str) -> str:
    try:
        return str(json.loads(body)["system"]["version"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""


def _advisories(version: str) -> list[Finding]:
    return [
        Finding(
            "warning",
            f"advisory {advisory.id}",
            advisory.summary,
            f"upgrade Asterisk to one of {_versions(advisory.fixed.values())}",
        )
        for advisory in advisories.concerning(version)
    ]


def _versions(fixed: Iterable[advisories.Version]) -> str:
    return ", ".join(".".join(map(str, version)) for version in fixed)


def of_write(status: int) -> Finding:
    """Judge the user's right to write by the hang-up of a channel that does not exist."""
    what = "Asterisk, user's rights"
    if status == _FORBIDDEN:
        return Finding("fault", what, "the user may only read", "say read_only=no in ari.conf")
    if status == _NOT_FOUND:
        return Finding("ok", what, "the user may read and write")
    return Finding("warning", what, f"it answers {status}, not 404, to what does not exist")


def of_application(application: str, status: int) -> Finding:
    """Return whether somebody serves an application now."""
    what = f"application {application}"
    if status == _OK:
        remedy = "if that is no ari-proxy, starting ingest takes the application away from it"
        return Finding("warning", what, "somebody has a websocket for it now", remedy)
    return Finding("ok", what, "nobody serves it yet")


def of_description(description: str) -> list[Finding]:
    """Return which newer features Asterisk's own description of ARI has."""
    return [
        Finding(
            "ok", f"feature {name}", "there" if sign in description else f"not there ({since}+)"
        )
        for name, sign, since in FEATURES
    ]


def of_clock(difference_seconds: float) -> Finding:
    """Judge the difference between Asterisk's clock and ours."""
    found = f"{abs(difference_seconds):.0f} s apart from Asterisk's"
    if abs(difference_seconds) > CLOCK_SECONDS:
        remedy = (
            "have both machines follow a time server (NTP): timestamps and sequences rely on it"
        )
        return Finding("warning", "clock", found, remedy)
    return Finding("ok", "clock", found)


#: Asterisk tells whole seconds.
CLOCK_SECONDS: Final = 2.0


def of_sessions(connections: int, limit: int) -> Finding:
    """Return whether our connections fit into Asterisk's HTTP server, as far as it is known."""
    found = f"up to {connections} of one executor, and a websocket of ingest"
    if connections >= limit:
        remedy = (
            f"lower ari.max_connections, or raise sessionlimit in http.conf ({limit} by default)"
        )
        return Finding("warning", "http.conf, sessionlimit", found, remedy)
    return Finding(
        "ok", "http.conf, sessionlimit", f"{found}; {limit} by default, ARI does not tell"
    )


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if anything stands against serving calls, else 0."""
    return int(any(finding.level == "fault" for finding in findings))
