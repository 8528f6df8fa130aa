"""The worker: offsets, micro-batches, transactions, stall handling."""
