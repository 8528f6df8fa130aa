"""`tidewise drift` and its commands: alarms, interests compared between periods, and a report to send."""
