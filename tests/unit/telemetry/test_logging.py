import subprocess
import sys

import pytest

SCRIPT = """
import logging
from ari_proxy.telemetry.logging import configure

configure(level="debug", form="json", component="test")
logging.getLogger("{logger}").error("its own words")
"""


@pytest.mark.parametrize(
    ("logger", "is_shown"),
    [("aiormq.connection", False), ("aiormq.channel", False), ("nats.aio.client", True)],
)
def test_library_that_repeats_our_own_lines_is_silent(logger: str, is_shown: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(logger=logger)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ("its own words" in done.stderr) is is_shown
