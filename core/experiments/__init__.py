"""Experiments: users split into arms, sample ratio, always-valid intervals, sample sizes, off-policy estimates."""
