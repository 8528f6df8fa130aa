"""Parts of the benchmarks of the gate and of promotions."""
