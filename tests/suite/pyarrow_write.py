"""Writes one uniformly encrypted Parquet file. Arguments: file, key (hex), AAD prefix (hex or empty), stored (yes or no)."""

import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

path, key, prefix, stored = sys.argv[1:]
arguments = {}
if prefix:
    arguments = {"aad_prefix": bytes.fromhex(prefix), "store_aad_prefix": stored == "yes"}
properties = pe.create_encryption_properties(bytes.fromhex(key), **arguments)
rows = 5000
table = pa.table(
    {
        "id": pa.array(range(rows), pa.int64()),
        "word": pa.array([["ada", "grace", None][i % 3] for i in range(rows)]),
        "price": pa.array([Decimal(i) / 100 for i in range(rows)], pa.decimal128(15, 2)),
        "ratio": pa.array([i / 7 for i in range(rows)], pa.float64()),
    }
)
pq.write_table(
    table, path, row_group_size=1000, data_page_size=2048, compression="zstd", encryption_properties=properties
)
