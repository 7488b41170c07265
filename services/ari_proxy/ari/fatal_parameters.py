"""Parameters without which Asterisk crashes, and with it all its calls. Sans-I/O.

Seen on Asterisk 22.10.1 and 16.28.0: a handler reads a parameter that its description requires
without looking whether it is there. A field of the body counts as absent if it is no text; where
several values are allowed, a field that is neither a text nor a list of texts crashes it as well.
"""

from typing import Final

#: By method and template: the parameter that must be there.
REQUIRED: Final = {
    ("POST", "/bridges/{bridgeId}/record"): "format",
    ("POST", "/bridges/{bridgeId}/variable"): "variable",
    ("POST", "/channels/{channelId}/move"): "app",
}

#: By method and template: the parameter that must be a text or a list of texts, if it is there.
LISTS: Final = {
    ("GET", "/asterisk/info"): "only",
    ("GET", "/bridges/{bridgeId}/variables"): "variables",
    ("GET", "/channels/{channelId}/variables"): "variables",
    ("POST", "/applications/{applicationName}/subscription"): "eventSource",
    ("POST", "/events/user/{eventName}"): "source",
    ("DELETE", "/applications/{applicationName}/subscription"): "eventSource",
}
