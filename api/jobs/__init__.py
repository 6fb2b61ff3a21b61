"""Enqueueing, claiming and parking of background work; knows no slice."""
