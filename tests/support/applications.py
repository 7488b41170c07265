"""An Asterisk that says of each application whether anybody has it."""

from ari_proxy.ari.client import MAX_ANSWER_BYTES, Answer
from ari_proxy.ari.errors import AriTimeoutError

NOBODY = Answer(404, '{"message":"Application not found"}')
SOMEBODY = Answer(200, '{"name":"demo"}')


class ApplicationsOnly:
    """Answers by application; none for one that it knows nothing of."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.in_flight = 0

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",  # noqa: ARG002  AriClient's
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002
        max_bytes: int = MAX_ANSWER_BYTES,  # noqa: ARG002
    ) -> Answer:
        self.asked.append(url)
        name = url.removeprefix("/applications/")
        if name not in self.answers:
            raise AriTimeoutError(method, url, "no answer in time", sent=True)
        return self.answers[name]
