"""Tests of call handlers without Asterisk and without a bus (docs/testing-applications.md)."""

from .anywhere import hang_up_anywhere
from .errors import NotOnAsteriskError, UnmetExpectationError
from .fake_call import fake_call
from .phone import Phone
from .virtual_time import VirtualTimeLoop

__all__ = [
    "NotOnAsteriskError",
    "Phone",
    "UnmetExpectationError",
    "VirtualTimeLoop",
    "fake_call",
    "hang_up_anywhere",
]
