"""The console: pages of the admin API with the dialogs of one ingest and their ladders."""
