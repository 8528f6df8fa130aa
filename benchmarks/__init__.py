"""Measurements that anybody can repeat. Each prints a table for people and, last, one line of JSON."""
