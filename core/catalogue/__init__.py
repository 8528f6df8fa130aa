"""Items: their records and validation, the columnar catalogue, filters, availability and changes."""
