"""The command service: commands from the bus to Asterisk, responses back."""
