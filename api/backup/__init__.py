"""Backup and restore: base backups, continuous WAL and the documents, brought back together to one moment.

Why nothing that a restored row refers to is missing: a document is on disk before its row is committed, is never
changed, and the sweeper leaves it alone for a day. So whoever reads the rows of a moment and copies what they name
*afterwards* has every document of that moment. A base backup therefore copies documents twice, before (most of the
work, while WAL is not held) and after its own end; the follower does it again every few seconds, and vouches for a
moment only once the WAL up to it is flushed here and the documents of its rows are.
"""
