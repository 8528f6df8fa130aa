"""Learning: when to train, which model may serve, and what became of every version.

Knows nothing about networks, disks, processes or HTTP.
"""
