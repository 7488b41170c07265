"""The rights on NATS that docs/reference/wire.md lists, as accounts of real servers."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from ari_proxy.protocol import topics
from ari_proxy.settings.load import Settings
from tests.support.servers import NatsServer

WIRE = Path(__file__).parents[2] / "docs/reference/wire.md"
#: The server and the application of the documentation.
SERVER, APPLICATION = "asterisk-1", "demo"
#: The names of the tests, for which the accounts have the documented rights. Tests that share an
#: Asterisk number their applications.
#: `asterisk` is the default of the settings.
_SERVERS = ("server-1", "asterisk-1", "asterisk-demo", "asterisk", "other")
_NUMBERED = tuple(f"{name}{number}" for name in ("demo", "failing") for number in range(300))
_APPLICATIONS = (
    "demo",
    *("campaign", "ivr", "queue", "transfer", "voicemail"),
    "quiet",
    "nobody-serves-this",
    "wanted",
    "ari-proxy-demo",
    *_NUMBERED,
)
#: By account of a test, the documented users whose rights it has: one process may do the work of
#: several.
_ACCOUNTS = {
    "ingest": ("ingest",),
    "command": ("command",),
    "standalone": ("ingest", "command"),
    "doctor": ("ingest", "command"),
    "application": ("application",),
    "watcher": ("watcher",),
    "demo": ("ingest", "command", "application"),
}
#: The account of whoever does not log in, as a test's clients.
_DEFAULT = "application"
#: A test's account that may do everything: to look on, and to play a part that has none.
SPY = "spy"
#: What doctor also does if it may.
_OPTIONAL = '"$G/user:doctor" - Publish Violation - Subject "$JS.API.STREAM.NAMES"'
#: Of each account.
PASSWORD = "of-a-test"
#: Other ways to log in on NATS than with a user in the settings.
_LOGINS = ("token", "token_file", "user_file", "url_file", "credentials_file", "nkey_seed_file")


def section(heading: str) -> str:
    """Return the text below a heading."""
    return WIRE.read_text().partition(heading)[2].partition("\n## ")[0]


def on_nats() -> str:
    """Return the server's configuration that is documented."""
    return section("### On NATS").split("```")[1]


def subjects_on_nats(user: str) -> dict[str, list[str]]:
    """Return what a documented user may publish, and what subscribe."""
    rights = on_nats().partition(f"user: {user},")[2].partition("} }")[0]
    found = re.findall(r"(publish|subscribe): \[(.*?)\]", rights, re.DOTALL)
    return {action: re.findall(r'"([^"]*)"', subjects) for action, subjects in found}


class GuardedNats:
    """A nats-server whose accounts have the documented rights, and no others but a spy's."""

    def __init__(self, directory: Path) -> None:
        config, self._log = directory / "accounts.conf", directory / "nats.log"
        config.write_text(_configuration())
        self.server = NatsServer("-c", str(config), "-l", str(self._log))
        self._read = 0

    def violations(self) -> list[str]:
        """Return what the server has refused to an account since the last call."""
        lines = self._log.read_text().splitlines()
        new, self._read = lines[self._read :], len(lines)
        return [line for line in new if " Violation - " in line and _OPTIONAL not in line]


def _configuration() -> str:
    users: list[dict[str, object]] = [{"user": SPY, "password": PASSWORD}]
    for account, documented in _ACCOUNTS.items():
        rights = {
            action: {"allow": [subject for user in documented for subject in _of(user, action)]}
            for action in ("publish", "subscribe")
        }
        users.append({"user": account, "password": PASSWORD, "permissions": rights})
    return json.dumps({"authorization": {"users": users}, "no_auth_user": _DEFAULT})


def _of(user: str, action: str) -> Iterator[str]:
    """Yield the documented subjects, for the names of the tests."""
    for subject in subjects_on_nats(user)[action]:
        if subject == APPLICATION:
            yield from _APPLICATIONS
        elif subject == topics.recovered(APPLICATION):
            yield from map(topics.recovered, _APPLICATIONS)
        elif SERVER in subject:
            yield from (subject.replace(SERVER, server) for server in _SERVERS)
        else:
            yield subject


def logged_in(settings: Settings, account: str) -> Settings:
    """Return the settings with an account on NATS, unless they have one.

    A nats-server without accounts ignores it.
    """
    bus = settings.bus
    if bus.kind != "NATS" or bus.user or any(getattr(bus, field) for field in _LOGINS):
        return settings
    chosen = {"user": account, "password": SecretStr(PASSWORD)}
    return settings.model_copy(update={"bus": bus.model_copy(update=chosen)})


def account_of(components: Sequence[str]) -> str:
    """Return the account of a process with these components."""
    return components[0] if len(components) == 1 else "standalone"


def environment(account: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the same as variables of a process, if `given` names a NATS server."""
    if given.get("ARI_PROXY_BUS__KIND") != "NATS" or account not in _ACCOUNTS:
        return {}
    if any(f"ARI_PROXY_BUS__{field.upper()}" in given for field in ("user", *_LOGINS)):
        return {}
    return variables(account, "NATS")


def variables(account: str, kind: str) -> dict[str, str]:
    """Return the account as variables of a process on this kind of bus."""
    if kind != "NATS":
        return {}
    return {"ARI_PROXY_BUS__USER": account, "ARI_PROXY_BUS__PASSWORD": PASSWORD}
