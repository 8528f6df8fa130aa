"""One thread for FAISS, as in every serving process: on a busy machine its threads would wait for each other."""

from __future__ import annotations

import faiss

faiss.omp_set_num_threads(1)
