"""The accounts that docs/reference/wire.md names, with their rights, on real servers."""

import hashlib
import secrets
import shlex
from collections.abc import Callable

from pydantic import SecretStr

from ari_proxy.settings.load import Settings
from tests.support.documented_rights import APPLICATION, SERVER, section
from tests.support.process import environment_of
from tests.support.rabbitmq import RabbitMqServer
from tests.support.scripted_asterisk import ScriptedAsterisk
from tests.support.setting import settings_of

PASSWORD = "secret-of-rabbitmq"


def on_rabbitmq() -> list[list[str]]:
    """Return the arguments of each call of rabbitmqctl that is documented."""
    documented = section("### On RabbitMQ")
    block = documented.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    return [shlex.split(line)[1:] for line in block.splitlines()]


def uuids_of(server: str) -> str:
    """Return the documented prefix of a server's UUIDs."""
    digits = hashlib.sha256(server.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:10]}"


class Accounts:
    """Users of RabbitMQ with the documented rights, on names of the test."""

    def __init__(self, rabbitmq: RabbitMqServer) -> None:
        self._rabbitmq = rabbitmq
        own = secrets.token_hex(4)
        self.server, self.application = f"server-{own}", f"application-{own}"
        self.users = {name: f"{name}-{own}" for name in ("ingest", "command", "application")}

    def renamed(self, text: str) -> str:
        """Return a text of the documentation with the names of the test."""
        ours = {
            uuids_of(SERVER): uuids_of(self.server),
            SERVER: self.server,
            APPLICATION: self.application,
        }
        for theirs, our in ours.items():
            text = text.replace(theirs, our)
        return text

    def make(
        self,
        without: Callable[[str, list[str]], list[str]] = lambda _, rights: rights,
        *,
        literally: bool = False,
    ) -> None:
        """Create the users.

        Args:
            without: receives a user's name and documented rights; returns the rights to grant.
            literally: whether rabbitmqctl itself grants them.
        """
        grant = self._rabbitmq.control if literally else self._rabbitmq.change_account
        for user in self.users.values():
            self._rabbitmq.change_account("add_user", user, PASSWORD)
        for command, name, *rights in on_rabbitmq():
            grant(command, self.users[name], *map(self.renamed, without(name, rights)))

    def remove(self) -> None:
        for user in self.users.values():
            self._rabbitmq.change_account("delete_user", user)
        server, application = self.server, self.application
        self._rabbitmq.delete_queues(application, f"commands_{server}", f"dialogs_{server}")

    def settings(self, asterisk: ScriptedAsterisk, name: str, form: str = "") -> Settings:
        """Return the settings of one of them."""
        settings = settings_of(asterisk, self._rabbitmq, dialog_ids=form)
        account = {"user": self.users[name], "password": SecretStr(PASSWORD)}
        own = {
            "server_id": self.server,
            "applications": (self.application,),
            "bus": settings.bus.model_copy(update=account),
        }
        return settings.model_copy(update=own)

    def environment(self, settings: Settings) -> dict[str, str]:
        """Return the same as environment variables of a process."""
        bus = settings.bus
        return environment_of(settings) | {
            "ARI_PROXY_BUS__USER": bus.user,
            "ARI_PROXY_BUS__PASSWORD": bus.password.get_secret_value(),
            "ARI_PROXY_BUS__DIALOG_IDS": bus.dialog_ids,
            "ARI_PROXY_INGEST__LISTENER_SECONDS": "1",
            "ARI_PROXY_INGEST__GRACE_SECONDS": "1",
            "ARI_PROXY_INGEST__QUEUE_GRACE_SECONDS": "0",
        }
