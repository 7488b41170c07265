"""How to reach NATS."""

from dataclasses import dataclass, field

from .options import BusOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions(BusOptions):
    """How to reach the servers; secrets don't show in a repr."""

    token: str = field(default="", repr=False)
    credentials_file: str = ""
