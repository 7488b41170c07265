"""A campaign: calls the numbers of a file, some at once, and tells what has become of each.

    python campaign.py numbers.txt

The file has a number a line. Who is busy is called again later. Prints a line for each number, with
its result behind a comma: `confirmed` by pressing 1, `heard`, `hung up`, `busy`, `no answer` or
`failed`.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from ari_proxy import App, Call
from ari_proxy.client.errors import Busy, CallEnded, ClientError, NoAnswer

ENDPOINT = os.environ.get("ENDPOINT", "PJSIP/{number}@trunk")
AT_ONCE = 10
RING_SECONDS = 30
TRIES = 3
#: Before those who were busy are called again.
RETRY_SECONDS = 300

app = App("campaign", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


async def campaign(numbers: list[str]) -> dict[str, str]:
    """Call numbers, and return the result of each."""
    left = list(dict.fromkeys(numbers))  # Nobody is called twice.
    results = dict.fromkeys(left, "")
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(RETRY_SECONDS)
        next_numbers = iter(left)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(call_all(next_numbers, results))
        left = [number for number in left if results[number] == "busy"]
        if not left:
            break
    return results


async def call_all(numbers: Iterator[str], results: dict[str, str]) -> None:
    """Call one number after another; others take from the same ones."""
    for number in numbers:
        results[number] = await call_number(number)


async def call_number(number: str) -> str:
    """Call a number, and return the result."""
    try:
        async with app.originate(ENDPOINT.format(number=number), timeout=RING_SECONDS) as call:
            return await tell(call)
    except Busy:
        return "busy"
    except NoAnswer:
        return "no answer"
    except CallEnded:
        return "hung up"
    except ClientError as error:
        print(f"{number}: {error}", file=sys.stderr)
        return "failed"


async def tell(call: Call) -> str:
    """Tell what is to be told; return whether it was confirmed."""
    question = ["sound:hello-world", "sound:vm-press", "digits:1"]
    is_confirmed = await call.prompt(question, digits=1, choices="1", tries=1)
    await call.play("sound:vm-goodbye")
    return "confirmed" if is_confirmed else "heard"


async def main(file: str) -> None:
    """Call all numbers of a file."""
    numbers = await asyncio.to_thread(Path(file).read_text)
    async with app:
        results = await campaign(numbers.split())
    for number, result in results.items():
        print(number, result, sep=",")


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(sys.argv[1]))
