"""The campaign of the examples calls people: simulated, and at Asterisk 22."""

import itertools
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ari_proxy import App
from tests.support.calls import RestServer
from tests.support.python_examples import example
from tests.support.servers import PASSWORD

_names = itertools.count()


async def test_campaign_calls_each_number_and_the_busy_one_again(
    server: RestServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = example("campaign")
    campaign.ENDPOINT = "Local/{number}@default/n"
    campaign.RING_SECONDS, campaign.RETRY_SECONDS, campaign.AT_ONCE = 5, 0, 2
    url = f"ari://ari:{PASSWORD}@{urlsplit(server.url).netloc}"
    campaign.app = App(f"campaign{next(_names)}", url)
    called: Counter[str] = Counter()
    current: Counter[str] = Counter()
    most = 0
    call_number = campaign.call_number

    async def counted(number: str) -> str:
        nonlocal most
        called[number] += 1
        current[number] += 1
        most = max(most, current.total())
        try:
            result: str = await call_number(number)
        finally:
            current[number] -= 1
        return result

    campaign.call_number = counted
    numbers = tmp_path / "numbers.txt"
    numbers.write_text("dtmf-w1\nbusy\nring\nanswer\nbusy\n")

    await campaign.main(str(numbers))

    # Behind what is logged.
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "dtmf-w1,confirmed",
        "busy,busy",
        "ring,no answer",
        "answer,heard",
    ]
    assert called == {"dtmf-w1": 1, "busy": 3, "ring": 1, "answer": 1}
    assert most <= campaign.AT_ONCE
