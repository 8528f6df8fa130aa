"""Saved snapshots: catalogue, item vectors and item index on disk, from which a process starts."""
