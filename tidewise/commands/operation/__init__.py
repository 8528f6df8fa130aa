"""Commands for operators: keys, backups, audit, dead letters, checks."""
