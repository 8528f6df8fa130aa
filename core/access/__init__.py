"""Who may do what: API keys, and the audit log of changes made by hand."""
