"""Fifty random kills under a small load, and a ledger of every acknowledged write that the end is held against."""
