"""The records that pass through the ports: plain values. Independent of storage."""
