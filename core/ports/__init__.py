"""The ports: protocols of what the domain needs from databases (by repository), models and indexes.

Adapters live in `storage/`, `model/` and `index/`; they never import each other.
"""
