"""PDF work: readable source in, writable target out. No network, database or environment; the clock is an argument."""
