"""What operators see of a running process: spans of its work under one trace id, and gauges of what it uses.

This package knows no slice; a slice opens a span, and the processes say where spans go.
"""
