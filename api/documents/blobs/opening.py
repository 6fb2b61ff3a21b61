"""Which store a process uses, from its settings."""

from api.documents.blobs.files import FileStore
from api.documents.blobs.port import BlobStore
from api.documents.blobs.s3 import S3Place, S3Store
from api.errors import Broken
from api.settings import Settings, StorePlace


def open_store(settings: Settings | StorePlace) -> BlobStore:
    """Open the document store that the settings name: a directory, or a bucket.

    Raises:
        Broken: they name neither; `api.settings` refuses such settings before.
    """
    if settings.s3 is not None:
        s3 = settings.s3
        place = S3Place(
            endpoint=s3.endpoint,
            bucket=s3.bucket,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            region=s3.region,
        )
        return S3Store(place)
    if settings.blob_dir is not None:
        return FileStore(settings.blob_dir)
    raise Broken("Chưa cấu hình kho tài liệu.", "No document store is configured.")
