"""Recommenders of other libraries as scorers, each in a process of an environment of its own.

`make peers` makes the environment; its side of the exchange is in `benchmarks/peers/`. Independent of those libraries.
"""
