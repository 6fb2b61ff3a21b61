"""Load tests, and the outside world as small real servers."""
