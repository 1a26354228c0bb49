"""Peer: DataFusion with its own reader of encrypted Parquet."""

import datafusion
import pyarrow as pa
from datafusion import SessionConfig, SessionContext

from peer import serve


def options(file):
    if not file["key"]:
        return ""
    pairs = {"footer_key_as_hex": file["key"]}
    if file["aad"]:
        pairs["aad_prefix_as_hex"] = file["aad"]
    pairs = ", ".join(f"'format.crypto.file_decryption.{name}' '{value}'" for name, value in pairs.items())
    return f" options ({pairs})"


def open_peer(tables, threads):
    context = SessionContext(SessionConfig().with_target_partitions(threads))
    for name, files in tables.items():
        # A table has one key here; several files are put together as several tables.
        for number, file in enumerate(files):
            context.sql(
                f"create external table {name}_{number} stored as parquet location '{file['path']}'{options(file)}"
            )
        parts = " union all ".join(f"select * from {name}_{number}" for number in range(len(files)))
        context.sql(f"create view {name} as {parts}")

    def run(sql):
        frame = context.sql(sql)
        return pa.Table.from_batches(frame.collect(), frame.schema())

    return run


serve(open_peer)
