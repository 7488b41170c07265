"""What tests plan of endpoints, at a real Asterisk: requests call others in their place. Sans-I/O.

Who is called then is the far half of a Local channel, which the dialplan leads into an application
of the test (`target.CONTEXT`).
"""

from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from ari_proxy.simulator.plans import EndpointPlan

from .errors import NotOnAsteriskError
from .target import APPLICATION_VARIABLE, CONTEXT

#: Paths of requests that call an endpoint; the second one is followed by a channel's id.
_CREATING: Final = ("/channels", "/channels/create")
_NAMED: Final = "/channels/"
#: The technologies of external media.
_MEDIA: Final = frozenset({"UnicastRTP", "AudioSocket", "WebSocket"})


class PlannedEndpoints:
    """Endpoints that do what a test has planned."""

    def __init__(self, application: str) -> None:
        """Initialise without plans.

        Args:
            application: in which those are who are called.
        """
        self._application = application
        #: By extension, and by endpoint the extension that is called in its place.
        self._plans: dict[str, EndpointPlan] = {}
        self._extensions: dict[str, str] = {}

    def plan(self, endpoint: str, plan: EndpointPlan) -> None:
        """Say what an endpoint does when it is called from now on.

        Raises:
            NotOnAsteriskError: it is the other end of external media.
        """
        if endpoint.partition("/")[0] in _MEDIA:
            raise NotOnAsteriskError(f"what {endpoint} does can't be planned on a real Asterisk")
        extension = self._extensions.setdefault(endpoint, str(len(self._extensions)))
        self._plans[extension] = plan

    def plan_of(self, extension: str) -> EndpointPlan | None:
        """Return what is planned of whoever is called by an extension."""
        return self._plans.get(extension)

    def endpoint_of(self, called: str) -> str:
        """Return the endpoint in whose place another one was called; itself if none was."""
        places = {_place(name): endpoint for endpoint, name in self._extensions.items()}
        return places.get(called, called)

    def redirected(self, method: str, url: str, body: str) -> tuple[str, str]:
        """Return URL and body of a request, with the endpoint that is called in place of its own.

        Args:
            method: of the request.
            url: relative to ARI's root, with the query.
            body: in JSON, or ''.
        """
        path, _, query = url.partition("?")
        is_creating = path in _CREATING or (path.startswith(_NAMED) and path.count("/") == 2)  # noqa: PLR2004
        if method != "POST" or not is_creating:
            return url, body
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        content: dict[str, Any] = msgspec.json.decode(body) if body else {}
        asked = parameters if "endpoint" in parameters else content
        extension = self._extensions.get(str(asked.get("endpoint")))
        if extension is None:
            return url, body
        asked["endpoint"] = _place(extension)
        own = {f"__{APPLICATION_VARIABLE}": self._application}
        content["variables"] = {**content.get("variables", {}), **own}
        encoded = urlencode(parameters, quote_via=quote)
        return f"{path}?{encoded}" if encoded else path, msgspec.json.encode(content).decode()


def _place(extension: str) -> str:
    return f"Local/{extension}@{CONTEXT}/n"
