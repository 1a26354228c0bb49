"""Reads one encrypted Parquet file and prints its rows as JSON lines. Arguments: file, key (hex), AAD prefix (hex or empty)."""

import json
import sys

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

path, key, prefix = sys.argv[1:]
properties = pe.create_decryption_properties(
    bytes.fromhex(key), aad_prefix=bytes.fromhex(prefix) if prefix else None
)
table = pq.ParquetFile(path, decryption_properties=properties).read()
for row in table.to_pylist():
    print(json.dumps(row, default=str))
