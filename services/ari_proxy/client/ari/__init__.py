"""All of Asterisk's REST Interface, typed: operations, models and events.

`operations`, `models` and `events` are generated from Asterisk's own description: see
docs/generating.md.
"""

from .resources import Ari
from .transport import AriAnswer, AriTransport

__all__ = ["Ari", "AriAnswer", "AriTransport"]
