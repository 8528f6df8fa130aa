"""The item index: nearest items by inner product.

The only package that imports FAISS. Independent of models, users and storage: its input is vectors with row numbers.
"""
