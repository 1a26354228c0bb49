"""Peer: DuckDB over Parquet that it wrote and encrypted itself, in its own form, whose cipher comes with httpfs.

The files named are in the clear. With a key, DuckDB's encrypted copies of them are queried; without, its copies in the
clear.
"""

import base64
from pathlib import Path

import duckdb
import duckdb_extension_httpfs

from peer import serve

EXTENSION = Path(duckdb_extension_httpfs.__file__).parent / f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension"


def open_peer(tables, threads):
    connection = duckdb.connect(
        config={"threads": threads, "enable_external_file_cache": False, "preserve_insertion_order": False}
    )
    connection.load_extension(str(EXTENSION))
    for name, files in tables.items():
        (file,) = files
        copy, encryption = file["path"] + ".duckdb-clear", ""
        if file["key"]:
            copy = file["path"] + ".duckdb-encrypted"
            key = base64.b64encode(bytes.fromhex(file["key"])).decode()
            connection.execute(f"pragma add_parquet_key('{name}', '{key}')")
            encryption = f", encryption_config {{footer_key: '{name}'}}"
        connection.execute(
            f"copy (from read_parquet('{file['path']}')) to '{copy}'"
            f" (format parquet, codec zstd, compression_level 1, row_group_size 122880{encryption})"
        )
        read = encryption.replace("encryption_config", "encryption_config =")
        connection.execute(f"create view {name} as from read_parquet('{copy}'{read})")

    return lambda sql: connection.sql(sql).to_arrow_table()


serve(open_peer)
