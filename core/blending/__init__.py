"""The blend: one score for each item from the encoder, live transition counts and popularity."""
