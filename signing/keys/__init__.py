"""Who holds the key: one port, one contract test."""
