"""Commands that train, tune, compare and promote models."""
