"""Commands that read or write files of events and items."""
