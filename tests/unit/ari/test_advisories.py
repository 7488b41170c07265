import pytest

from ari_proxy.ari.advisories import concerning


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
