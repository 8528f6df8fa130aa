"""Random faults of the embedded system: `tidewise up` with several API processes, and commands beside it."""
