"""The item index: nearest items by inner product.

The only place that knows FAISS. Knows nothing about models, users or storage: it gets vectors with row numbers.
"""
