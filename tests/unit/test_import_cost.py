"""What importing the client costs, beside bare Python and its libraries, in one run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.environments import environment

APP = ("ari_proxy.app", "ari_proxy.client.events")
CLIENT = (*APP, "ari_proxy.bus.nats.bus")
#: What these cannot do without, some of it with the first line that they log.
APP_LIBRARIES = ("asyncio", "msgspec", "ssl", "structlog", "uuid")
LIBRARIES = (*APP_LIBRARIES, "nats.aio.client")
#: MiB of the client beyond bare Python, with its libraries.
MEMORY = 30
#: Each is run so often: the least of them is what it costs on a machine with other work.
TIMES = 5

#: Where PYTHONDONTWRITEBYTECODE is set, each process would compile our modules again.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

_OWN_COST = "import time; print(time.process_time()); print(open('/proc/self/status').read())"


class Cost(NamedTuple):
    seconds: float
    mebibytes: float


def cost(python: Path, *modules: str) -> Cost:
    """Return the CPU time and the resident memory of a Python that imports these."""
    code = "".join(f"import {module}; " for module in modules) + _OWN_COST
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env=PLAIN
    )
    seconds, *status = done.stdout.splitlines()
    (line,) = (line for line in status if line.startswith("VmRSS:"))
    return Cost(float(seconds), int(line.split()[1]) / 1024)


#: Needed by a bus of theirs, or by the first line that is logged.
LATE = {"aio_pika", "aiormq", "nats", "rich", "structlog"}


def test_client_imports_no_library_before_it_is_needed() -> None:
    code = f"import sys; from ari_proxy import App, Call; print(*sorted({LATE} & {{*sys.modules}}))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )

    assert done.stdout.split() == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("modules", "libraries"), [(APP, APP_LIBRARIES), (CLIENT, LIBRARIES)], ids=["app", "with NATS"]
)
def test_client_costs_no_more_than_its_libraries_once_more(
    modules: tuple[str, ...], libraries: tuple[str, ...], tmp_path: Path
) -> None:
    python = environment(tmp_path)
    cost(python, *modules)  # Compiles what is not compiled yet.

    rounds = [[cost(python, *chosen) for chosen in ((), libraries, modules)] for _ in range(TIMES)]
    bare, needed, client = (
        Cost(*(min(values) for values in zip(*costs, strict=True)))
        for costs in zip(*rounds, strict=True)
    )

    assert client.mebibytes - bare.mebibytes < MEMORY
    assert client.seconds - needed.seconds < needed.seconds - bare.seconds
