"""`tidewise evaluate`: its options, protocols and tables."""
