"""A traceback in the logs shows no value."""

import subprocess
import sys

import pytest

SCRIPT = """
import logging
import sys
import structlog
from ari_proxy.telemetry.logging import configure

configure(level="info", form=sys.argv[1], component="test")

def connect(password):
    raise OSError("refused")

try:
    connect(sys.argv[2])
except OSError:
    structlog.get_logger().exception("ours")
    logging.getLogger("library").exception("theirs")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_traceback_shows_no_value(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form, "hushhush"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )

    assert done.stderr.count("OSError: refused") == 2
    assert "hushhush" not in done.stderr
