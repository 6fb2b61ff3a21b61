"""What a citizen reaches without an account: submit, track, download, verify."""
