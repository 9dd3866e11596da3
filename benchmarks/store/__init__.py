"""Results on disk: files, cells, tables, digests. Knows no generator and no metric."""
