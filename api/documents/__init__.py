"""Results, documents and their immutable revisions: upload, templates, blobs, number series."""
