"""Set-up of a dialog: its AppStart, its first events, and the policy if nobody takes it."""
