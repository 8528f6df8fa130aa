"""The variables that set the size of native thread pools. They are read when numpy is first imported."""

POOL_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
