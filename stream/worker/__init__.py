"""The worker: micro-batches, offsets, applying, stall handling."""
