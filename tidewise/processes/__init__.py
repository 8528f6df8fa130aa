"""The long-running processes: API, worker, trainer, monitor, encoder."""
