"""Set-up of a dialog: its AppStart, its first events, and the policy if nobody accepts it.

Who starts a set-up? `DialogSetup.begin` alone, called behind each event that is published for a
dialog that is not open: by the pipeline, the sweeper and recovery.
"""
