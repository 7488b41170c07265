"""Whether the server grants our account a right, without a visible effect on anyone."""

import asyncio
from collections.abc import Mapping
from typing import Final

from ari_proxy.bus.base import Right, Verdict
from ari_proxy.bus.errors import BusUnavailableError

from .requests import ROUND_TRIP_SECONDS, NatsRequests
from .servers import ClusterClient
from .subscriptions import NatsSubscriptions

_VERDICTS: Final[Mapping[bool, Verdict]] = {True: "granted", False: "refused"}


async def verdict(
    right: Right, requests: NatsRequests, subscriptions: NatsSubscriptions, client: ClusterClient
) -> Verdict:
    """Return whether the server of a connection grants a right.

    Raises:
        BusUnavailableError: the connection was lost before the answer came.
    """
    try:
        async with asyncio.timeout(ROUND_TRIP_SECONDS):
            match right.action:
                case "publish":
                    may_publish = await requests.may_publish(right.topic)
                    return "unknown" if may_publish is None else _VERDICTS[may_publish]
                case "answer":
                    return _VERDICTS[await requests.may_answer(right.topic)]
                case "declare":
                    return "granted"
            return _VERDICTS[await subscriptions.is_permitted(right.topic, client)]
    except TimeoutError as error:
        raise BusUnavailableError("NATS did not answer") from error
