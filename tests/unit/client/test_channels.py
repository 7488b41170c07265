from ari_proxy.client.channels import CallChannels

#: As ari-proxy names a channel that a command has created.
PLACED = "arip-2g88jhgcnt8dm6c8-0123456789"
CALLER_GIVEN_BACK = [
    ("POST", "/channels/a%2Fb/variable?variable=ARI_PROXY_STATUS&value=FAILED"),
    ("POST", "/channels/a%2Fb/continue"),
]


def test_caller_goes_back_to_the_dialplan_and_all_others_are_hung_up() -> None:
    channels = CallChannels("a/b")
    channels.follow("ChannelCreated", PLACED)
    channels.follow("StasisStart", "other")
    channels.follow("ChannelVarset", "unrelated")

    assert channels.ways_out() == [
        *CALLER_GIVEN_BACK,
        ("DELETE", f"/channels/{PLACED}"),
        ("DELETE", "/channels/other"),
    ]


def test_channel_that_has_ended_is_left_alone() -> None:
    channels = CallChannels("a/b")
    channels.follow("StasisStart", "other")
    channels.follow("StasisEnd", "other")
    channels.follow("ChannelDestroyed", "unknown")
    channels.follow("StasisStart", "")
    assert channels.ways_out() == CALLER_GIVEN_BACK
    channels.follow("ChannelDestroyed", "a/b")

    assert channels.ways_out() == []


def test_dialog_of_a_placed_channel_has_no_caller_to_give_back() -> None:
    assert CallChannels(PLACED).ways_out() == [("DELETE", f"/channels/{PLACED}")]


def test_nothing_is_left_of_an_ended_dialog() -> None:
    channels = CallChannels("a/b")
    channels.clear()

    assert channels.ways_out() == []
