"""One module per table or group of tables: all SQL is here."""
