"""Motcua: the engine of a Vietnamese province's one-stop-shop (một cửa)."""
