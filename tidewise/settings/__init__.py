"""The settings: schema, sources, errors, and their documentation."""
