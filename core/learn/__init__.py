"""Learning: when to train, which model may serve, and what became of every version.

Independent of networks, disks, processes or HTTP.
"""
