"""The console: a page of the admin API that shows one ingest's dialogs, and each one's ladder."""
