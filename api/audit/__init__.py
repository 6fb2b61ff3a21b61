"""Who did what: plain rows in the caller's transaction."""
