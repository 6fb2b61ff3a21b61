"""Fonts that go into documents: Liberation Serif (Times metrics, full Vietnamese) and the stamp font cut from it."""
