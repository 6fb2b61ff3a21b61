"""The life of a signature: ask, prepare, send, finish, record, sweep."""
