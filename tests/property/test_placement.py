"""Where servers share pods, each has a place, and keeps it as long as it can."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.operator.decide.placement import placed

SERVERS = st.lists(st.sampled_from([f"s{number}" for number in range(40)]), unique=True)
SLOTS = st.integers(0, 12)
FORMER = st.dictionaries(st.sampled_from([f"s{number}" for number in range(40)]), SLOTS)
SIZE = st.integers(1, 9)


@given(SERVERS, FORMER, SIZE, st.lists(SLOTS, max_size=20))
def test_every_server_has_one_slot_with_room(
    servers: list[str], former: dict[str, int], size: int, occupied: list[int]
) -> None:
    found = placed(servers, former, size, occupied)
    draining = Counter(occupied)

    assert found.keys() == set(servers)
    for slot, number in Counter(found.values()).items():
        assert number + draining[slot] <= size


@given(SERVERS, SIZE, SERVERS)
def test_no_server_moves_when_others_come_and_go(
    servers: list[str], size: int, later: list[str]
) -> None:
    before = placed(servers, {}, size)
    after = placed(later, before, size)

    assert {name: after[name] for name in later if name in before} == {
        name: before[name] for name in later if name in before
    }
    assert placed(later, after, size) == after


@given(SERVERS, FORMER, SIZE, st.lists(SLOTS, max_size=20))
def test_only_those_move_for_which_there_is_no_room(
    servers: list[str], former: dict[str, int], size: int, occupied: list[int]
) -> None:
    found = placed(servers, former, size, occupied)
    moved = [name for name in servers if name in former and found[name] != former[name]]
    wanted = Counter(former[name] for name in servers if name in former)
    draining = Counter(occupied)
    surplus = sum(
        number - min(number, max(0, size - draining[slot])) for slot, number in wanted.items()
    )

    assert len(moved) <= surplus


@given(SERVERS, SIZE)
def test_new_servers_fill_one_slot_after_another(servers: list[str], size: int) -> None:
    found = placed(servers, {}, size)

    assert [found[name] for name in servers] == [number // size for number in range(len(servers))]


@given(SERVERS, SIZE)
def test_first_room_that_somebody_has_left_is_taken(servers: list[str], size: int) -> None:
    before = placed(servers, {}, size)
    for gone in servers:
        others = [name for name in servers if name != gone]
        assert placed([*others, "new"], before, size)["new"] == before[gone]
