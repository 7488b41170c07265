"""Numbered requests, and what their senders were told of each."""

from dataclasses import dataclass, field
from typing import Final

from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from tests.support.running import until

#: Each request is an event of this application: whoever has its websocket counts executions.
APPLICATION: Final = "counted"


@dataclass
class Outcomes:
    """What became of numbered requests."""

    answered: set[str] = field(default_factory=set)
    #: Asterisk may have executed them.
    unknown: set[str] = field(default_factory=set)
    not_sent: set[str] = field(default_factory=set)

    async def send(self, client: AriClient, sender: int) -> None:
        """Send requests one after another, each with a name of its own, until cancelled."""
        number = 0
        while True:
            number += 1
            name = f"n{sender}-{number}"
            url = f"/events/user/{name}?application={APPLICATION}"
            try:
                answer = await client.request("POST", url)
            except TransportError as error:
                (self.unknown if error.sent else self.not_sent).add(name)
            else:
                assert answer.status == 204, answer
                self.answered.add(name)

    async def more(self) -> None:
        """Wait until another 500 were answered."""
        enough = len(self.answered) + 500
        await until(lambda: len(self.answered) >= enough)

    async def more_refused(self, count: int) -> None:
        """Wait until so many more were told as not sent."""
        enough = len(self.not_sent) + count
        await until(lambda: len(self.not_sent) >= enough)
