"""ari-proxy: Asterisk's REST Interface over a message bus.

For applications: `from ari_proxy import App, Call` (docs/applications.md).
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .app import App
    from .client.call import Call

__all__ = ["App", "Call"]

#: Imported when first asked for: the services import this package, too, and need none of them.
_HOMES: Final = {"App": "ari_proxy.app", "Call": "ari_proxy.client.call"}


def __getattr__(name: str) -> object:
    """Return what is imported late (PEP 562).

    Raises:
        AttributeError: there is no such name.
    """
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
