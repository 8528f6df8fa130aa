"""Files of events and items: reading delimited text, JSON lines, JSON arrays and Parquet.

Text is decoded and split here; DuckDB reads Parquet and JSON arrays, and unpacks zstd. Independent of what a row means,
which `core/imports/` knows.
"""

from storage.files.opening import open_rows

__all__ = ["open_rows"]
