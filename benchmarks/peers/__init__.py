"""Other libraries' recommenders beside ours, in an environment of their own (`make peers`).

The scripts run by that environment's Python and import nothing of Tidewise; `model/evaluation/peers/` starts them.
"""
