"""The signer's side of a signature: judge, prepare, send, poll, finish, record, sweep. It does not trust the API."""
