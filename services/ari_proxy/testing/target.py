"""The real Asterisk that tests run on, if they do: pytest's option `--ari-asterisk` chooses it."""

from contextvars import ContextVar
from typing import Final

#: The environment variable that names it, like `ari://user:password@host:8088`: the password stands
#: in no argument of a process.
VARIABLE: Final = "ARI_TEST_ASTERISK"
#: The context of its dialplan that leads callers into the application under test.
CONTEXT: Final = "ari-proxy-test"
#: The variable of a caller's channel that names this application.
APPLICATION_VARIABLE: Final = "TESTED_APPLICATION"

_url: Final[ContextVar[str]] = ContextVar("url of the real Asterisk", default="")


def use(url: str) -> None:
    """Have all calls from now on run on a real Asterisk; on the simulated one with ''."""
    _url.set(url)


def url() -> str:
    """Return the URL of the real Asterisk; '' where calls run on the simulated one."""
    return _url.get()
