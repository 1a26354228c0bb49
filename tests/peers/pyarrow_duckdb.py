"""Peer: pyarrow decrypts the columns that a query needs, DuckDB queries the Arrow tables."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from peer import serve, words


def read(file, wanted):
    properties = pe.create_decryption_properties(
        bytes.fromhex(file["key"]), aad_prefix=bytes.fromhex(file["aad"]) if file["aad"] else None
    )
    # Mapped, so that no copy of the stored bytes counts against pyarrow.
    parquet = pq.ParquetFile(file["path"], decryption_properties=properties, memory_map=True)
    columns = [name for name in parquet.schema_arrow.names if name in wanted]
    # A table of which only rows are counted still has to be read in one column.
    return parquet.read(columns=columns or parquet.schema_arrow.names[:1])


def open_peer(tables, threads):
    def run(sql):
        wanted = words(sql)
        connection = duckdb.connect(config={"threads": threads})
        for name, files in tables.items():
            if name in wanted:
                connection.register(name, pa.concat_tables([read(file, wanted) for file in files]))
        return connection.sql(sql).to_arrow_table()

    return run


serve(open_peer)
