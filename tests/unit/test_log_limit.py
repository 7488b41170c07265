from ari_proxy.log_limit import LogLimit


def test_one_line_at_once_and_the_next_tells_how_many_were_left_out() -> None:
    now = 100.0
    limit = LogLimit(10, clock=lambda: now)
    assert [limit.others() for _ in range(3)] == [0, None, None]
    now = 109.9
    assert limit.others() is None
    now = 110.0
    assert [limit.others() for _ in range(2)] == [3, None]
    now = 200.0
    assert limit.others() == 1
