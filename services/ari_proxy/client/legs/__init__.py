"""The legs of a call: controlling a channel, dialling others, and bridging them."""
