"""From events to state: ingest, dead letters, offsets, rebuild."""
