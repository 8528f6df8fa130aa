"""The demo: a simulated shop and a tour through it."""
