"""One ingest hands its dialogs over to the next one."""
