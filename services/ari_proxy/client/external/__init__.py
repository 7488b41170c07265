"""A channel's audio outside of Asterisk: in a program of yours, or for somebody who listens in."""
