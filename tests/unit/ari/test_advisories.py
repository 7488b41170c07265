import pytest

from ari_proxy.ari.advisories import concerning, faults


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("22.10.1+dfsg+~cs6.17.60671434-1", []),
        ("22.8.1", ["GHSA-v6hp-wh3r-cwxh"]),
        ("22.8.2", []),
        ("23.2.2", []),
        ("24.0.0", []),
        ("16.28.0~dfsg-0+deb11u4", ["GHSA-v6hp-wh3r-cwxh"]),
        ("13.0.1", ["AST-2014-019", "AST-2018-009", "GHSA-v6hp-wh3r-cwxh"]),
        ("13.23.1", ["GHSA-v6hp-wh3r-cwxh"]),
        ("20.18", ["GHSA-v6hp-wh3r-cwxh"]),
        ("GIT-master-1234", []),
        ("", []),
    ],
)
def test_version_tells_which_advisories_concern_it(version: str, expected: list[str]) -> None:
    assert [advisory.id for advisory in concerning(version)] == expected


@pytest.mark.parametrize(
    ("version", "inbound", "outbound"),
    [
        ("16.28.0~dfsg-0+deb11u4", [], []),
        ("20.14.1", [2020, 2021], [2020, 2021]),
        ("21.12.2", [2020, 2021, 2121, 2140], [1894, 1979, 2020, 2021, 2121, 2140]),
        ("22.9.0", [2020, 2021, 2121, 2140], [1894, 1979, 2020, 2021, 2121, 2140]),
        ("22.10.1", [2020, 2021, 2121, 2140], [1979, 2020, 2021, 2121, 2140]),
        ("22.11.0", [2121, 2140], [2121, 2140]),
        ("22.12.0-rc3", [], []),
        ("23.5.0", [2121, 2140], [2121, 2140]),
        ("24.0.0", [], []),
        ("GIT-master-1234", [], []),
    ],
)
def test_faults_of_websockets(version: str, inbound: list[int], outbound: list[int]) -> None:
    def told(*, is_outbound: bool) -> list[str]:
        return [fault.id for fault in faults(version, is_outbound=is_outbound)]

    assert told(is_outbound=False) == [f"asterisk#{number}" for number in inbound]
    assert told(is_outbound=True) == [f"asterisk#{number}" for number in outbound]
