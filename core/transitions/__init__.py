"""Item transitions: which item follows which in the histories of users, counted live."""
