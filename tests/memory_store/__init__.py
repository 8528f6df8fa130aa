"""The repositories of `doubles.MemoryStore`, one module for each port of `core.ports`."""
