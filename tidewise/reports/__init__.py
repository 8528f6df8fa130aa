"""Reports as self-contained pages, to be sent to colleagues."""
