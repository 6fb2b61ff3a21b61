"""Rotation of keys: what an older key sealed is sealed again under the current one; a key goes when nothing needs it.

Every sealed value names its key, so both are readable throughout: a live system takes the new key as its second, then
as its first, then seals the old rows again, then drops the old key.
"""
