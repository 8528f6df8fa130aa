"""Ingestion: events become user state, exactly once; dead letters, offsets, rebuild."""
