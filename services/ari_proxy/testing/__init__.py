"""Tests of call handlers without Asterisk and without a bus (docs/testing-applications.md)."""

from .anywhere import hang_up_anywhere
from .endpoints import Endpoints
from .errors import NotOnAsteriskError, UnmetExpectationError
from .fake_call import fake_call, fake_endpoints
from .phone import Phone
from .replay import replay
from .transcript import TranscriptError
from .virtual_time import VirtualTimeLoop

__all__ = [
    "Endpoints",
    "NotOnAsteriskError",
    "Phone",
    "TranscriptError",
    "UnmetExpectationError",
    "VirtualTimeLoop",
    "fake_call",
    "fake_endpoints",
    "hang_up_anywhere",
    "replay",
]
