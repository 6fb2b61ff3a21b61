"""The outside world: small real servers with real keys that behave as well or as badly as they are told."""
