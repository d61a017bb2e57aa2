"""A run kept in an object store too; fsspec is imported here alone."""
