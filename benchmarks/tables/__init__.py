"""The tables of docs/experiments.md."""
