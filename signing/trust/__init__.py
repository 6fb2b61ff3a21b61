"""Whom a verifier believes: anchors and their loading."""
