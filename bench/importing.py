"""What importing the client library costs beyond bare Python: CPU time and memory.

    .venv/bin/python bench/importing.py

Prints a line for bare Python, for the libraries, and for the client with either bus: the least of
several runs, in an environment with the base install alone.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.environments import environment

RUNS = 15
OWN_COST = "import time; print(time.process_time()); print(open('/proc/self/status').read())"
# Where PYTHONDONTWRITEBYTECODE is set, each process would compile our modules again.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
CLIENT = "ari_proxy.app, ari_proxy.client.events"
IMPORTS = {
    "bare Python": "sys",
    "asyncio, msgspec, ssl, structlog": "asyncio, msgspec, ssl, structlog",
    "the client": CLIENT,
    "… with NATS": f"{CLIENT}, ari_proxy.bus.nats.bus",
    "… with RabbitMQ": f"{CLIENT}, ari_proxy.bus.rabbitmq.bus",
}


def cost(python: Path, modules: str) -> tuple[float, float]:
    """Return milliseconds of CPU and MiB of a Python that imports these modules."""
    code = f"import {modules}; {OWN_COST}"
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env=PLAIN
    )
    seconds, *status = done.stdout.splitlines()
    (line,) = (line for line in status if line.startswith("VmRSS:"))
    return float(seconds) * 1000, int(line.split()[1]) / 1024


def main() -> None:
    """Measure in turns, and print."""
    with tempfile.TemporaryDirectory() as directory:
        python = environment(Path(directory))
        rounds = [{n: cost(python, m) for n, m in IMPORTS.items()} for _ in range(RUNS)]
    for name in IMPORTS:
        milliseconds, mebibytes = (
            min(values) for values in zip(*(r[name] for r in rounds), strict=True)
        )
        print(f"{name:34} {milliseconds:5.0f} ms {mebibytes:5.1f} MiB")


main()
