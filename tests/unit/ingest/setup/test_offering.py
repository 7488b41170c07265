from ari_proxy.ingest.setup.offering import LAST_DECLINED_SECONDS, TAKER_SECONDS, Offering
from ari_proxy.protocol import messages


def test_taker_has_time_and_each_one_more() -> None:
    offering = Offering(0)

    assert not offering.is_due(TAKER_SECONDS - 0.1, is_declined=False)
    assert offering.is_due(TAKER_SECONDS, is_declined=False)
    offering.offered(TAKER_SECONDS)
    assert not offering.is_due(3 * TAKER_SECONDS - 0.1, is_declined=False)
    assert offering.is_due(3 * TAKER_SECONDS, is_declined=False)


def test_declined_offer_goes_out_again_soon_and_ever_slower() -> None:
    offering, now, offers = Offering(0), 0.0, 0
    while now < 10:
        if offering.is_due(now, is_declined=True):
            offering.offered(now)
            offers += 1
        now += 0.01

    assert 10 <= offers <= 10 / LAST_DECLINED_SECONDS + 6
    assert not offering.is_due(now, is_declined=False)


def test_only_a_reply_that_says_so_declines() -> None:
    assert messages.declines(b'{"decline":true,"reason":"full"}')
    for reply in (None, b"", b"{}", b'{"decline":false}', b'{"decline":"yes"}', b"[]", b"\xff"):
        assert not messages.declines(reply)
