"""The document store: immutable files named by their SHA-256, durable before anybody is told that they are there.

Two engines keep one contract: a directory (`FileStore`) and S3 through obstore (`S3Store`). A file's row in the table
`blob` is committed only after the bytes are on disk.
"""

from api.documents.blobs.files import FileStore
from api.documents.blobs.opening import open_store
from api.documents.blobs.port import BlobMissing, BlobStore, Listed, Stored, StoreUnavailable
from api.documents.blobs.s3 import S3Place, S3Store

__all__ = [
    "BlobMissing",
    "BlobStore",
    "FileStore",
    "Listed",
    "S3Place",
    "S3Store",
    "StoreUnavailable",
    "Stored",
    "open_store",
]
