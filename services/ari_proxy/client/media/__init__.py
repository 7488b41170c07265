"""Media of a channel: playing, saying, asking for digits, recording."""
