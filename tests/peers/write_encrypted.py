"""Writes a Parquet file anew: same rows, zstd, row groups of 122,880 rows, encrypted under one key or not at all.

Arguments: source, file, key (hex or empty), algorithm. Prints the SHA-256 of every stored column chunk by leaf path,
in the order of the row groups: what a manifest holds of chunks without tags.
"""

import hashlib
import json
import mmap
import sys

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

source, path, key, algorithm = sys.argv[1:]
key = bytes.fromhex(key)
encryption = pe.create_encryption_properties(key, encryption_algorithm=algorithm) if key else None
decryption = pe.create_decryption_properties(key) if key else None

reader = pq.ParquetFile(source)
with pq.ParquetWriter(
    path, reader.schema_arrow, compression="zstd", compression_level=1, encryption_properties=encryption
) as writer:
    for batch in reader.iter_batches(batch_size=122_880):
        writer.write_batch(batch, row_group_size=122_880)

digests = {}
metadata = pq.ParquetFile(path, decryption_properties=decryption).metadata
with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stored:
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            digest = hashlib.sha256(stored[start : start + chunk.total_compressed_size]).hexdigest()
            digests.setdefault(chunk.path_in_schema, []).append(digest)
print(json.dumps(digests))
