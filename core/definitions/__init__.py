"""Named definitions that are stored with revisions, and followed by every process."""
