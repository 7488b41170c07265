"""Recorded commands beside those that are sent now."""

import pytest

from ari_proxy.protocol.messages import Command
from ari_proxy.testing.names import Names

TOKEN = "arip-2g88jhgcnt8dm6c8"
OLD, OTHER_OLD = f"{TOKEN}-0000000000", f"{TOKEN}-0000000001"
NEW, OTHER_NEW = f"{TOKEN}-9999999990", f"{TOKEN}-9999999991"


def post(url: str, body: str = "", unique_id: str = "1") -> Command:
    return Command(unique_id, url, "POST", body)


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (post("/channels/1.2/answer"), post("/channels/1.2/answer", unique_id="7")),
        (post("/bridges?type=a&name=b"), post("/bridges?name=b&type=a")),
        (post("/channels", '{"a": 1, "b": 2}'), post("/channels", '{"b":2,"a":1}')),
        (post(f"/bridges/{OLD}/play"), post(f"/bridges/{NEW}/play")),
        (
            post(f"/bridges?channel={OLD}%2C{OTHER_OLD}"),
            post(f"/bridges?channel={NEW},{OTHER_NEW}"),
        ),
    ],
)
def test_same_command(recorded: Command, sent: Command) -> None:
    assert Names().is_same(recorded, sent)


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (post("/channels/1.2/answer"), post("/channels/1.3/answer")),
        (post("/channels/1.2/answer"), Command("1", "/channels/1.2/answer", "DELETE", "")),
        (post("/bridges?name=a"), post("/bridges?name=b")),
        (post("/bridges?name="), post("/bridges")),
        (post("/channels", '{"a": 1}'), post("/channels", '{"a": 2}')),
        (post("/channels", "text"), post("/channels", "other")),
        (post(f"/bridges/{OLD}/play"), post("/bridges/mine/play")),
        (post(f"/bridges?channel={OLD}%2C{OLD}"), post(f"/bridges?channel={NEW}%2C{OTHER_NEW}")),
    ],
)
def test_other_command(recorded: Command, sent: Command) -> None:
    assert not Names().is_same(recorded, sent)


def test_new_name_stands_for_a_recorded_one_from_then_on() -> None:
    names = Names()

    assert names.is_same(post(f"/bridges/{OLD}"), post(f"/bridges/{NEW}"))
    assert not names.is_same(post(f"/bridges/{OLD}"), post(f"/bridges/{OTHER_NEW}"))
    assert not names.is_same(post(f"/bridges/{OTHER_OLD}"), post(f"/bridges/{NEW}"))
    assert names.renewed(f"{OLD} {OTHER_OLD}") == f"{NEW} {OTHER_OLD}"
