"""`tidewise experiments` and its commands: plan, store, stop and delete experiments, their results, and estimates."""
