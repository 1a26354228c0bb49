"""Lets pyarrow write one file for each variant of Parquet encryption that matters, and the same rows in the clear.

Arguments: a folder, and `clear` if only the rows in the clear are wanted. Prints one JSON object a line: name, file,
twin (in the clear), keys by leaf column, AAD prefix, columns in the clear, SHA-256 of stored column chunks. pyarrow's
direct API knows no column keys and its key tools no AAD prefix; every other pair of values occurs.
"""

import base64
import hashlib
import itertools
import json
import os
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

folder = sys.argv[1]
PREFIX = b"elsewhere/table/file"
ROWS = 1200


def rows(count):
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "word": pa.array([["ada", "grace", None, "edsger"][i % 4] for i in range(count)], pa.string()),
            "price": pa.array([Decimal(i * 7919 % 100003) / 100 for i in range(count)], pa.decimal128(15, 2)),
            "ratio": pa.array([None if i % 11 == 0 else i / 7 for i in range(count)], pa.float64()),
            "day": pa.array([i % 20000 for i in range(count)], pa.int32()).cast(pa.date32()),
            "yes": pa.array([i % 3 == 0 for i in range(count)], pa.bool_()),
        }
    )


def nested(count):
    item = pa.struct([("sku", pa.string()), ("count", pa.int32())])
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "tags": pa.array([[f"t{j}" for j in range(i % 4)] or None for i in range(count)], pa.list_(pa.string())),
            "place": pa.array([{"x": i, "y": None if i % 5 == 0 else i / 2} for i in range(count)]),
            "items": pa.array(
                [[{"sku": f"s{i}{j}", "count": j} for j in range(i % 3)] for i in range(count)], pa.list_(item)
            ),
        }
    )


SHAPES = {
    "flat": (rows(ROWS), {"row_group_size": 500, "data_page_size": 512}),
    "nested": (nested(ROWS), {"row_group_size": 500, "data_page_size": 512}),
    "groups": (rows(ROWS), {"row_group_size": 7}),
    "empty": (rows(0), {}),
    "large": (rows(300_000).select(["id", "word"]), {}),
    "index": (rows(ROWS), {"row_group_size": 500, "data_page_size": 512, "write_page_index": True}),
}
ALGORITHMS = ["AES_GCM_V1", "AES_GCM_CTR_V1"]
BITS = [128, 192, 256]
KEYS = ["uniform", "columns"]
FOOTERS = ["encrypted", "plaintext"]
AADS = ["none", "stored", "supplied"]
PAGES = ["1.0", "2.0"]
DICTIONARIES = [True, False]
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]


def cases():
    """Every pair within each line, the other values in turn."""
    turn = itertools.count()

    def fill(**fixed):
        n = next(turn)
        case = {
            "algorithm": ALGORITHMS[n % 2],
            "bits": BITS[n % 3],
            "keys": "uniform",
            "footer": FOOTERS[n // 2 % 2],
            "aad": AADS[n % 3],
            "page": PAGES[n // 3 % 2],
            "dictionary": DICTIONARIES[n // 5 % 2],
            "codec": CODECS[n % 6],
            "shape": "flat",
        } | fixed
        if case["keys"] == "columns":
            case["aad"] = "none"
        return case

    for algorithm, bits, keys, footer in itertools.product(ALGORITHMS, BITS, KEYS, FOOTERS):
        yield fill(algorithm=algorithm, bits=bits, keys=keys, footer=footer)
    for algorithm, aad, footer in itertools.product(ALGORITHMS, AADS, FOOTERS):
        yield fill(algorithm=algorithm, aad=aad, footer=footer)
    for algorithm, codec, page in itertools.product(ALGORITHMS, CODECS, PAGES):
        yield fill(algorithm=algorithm, codec=codec, page=page)
    for page, dictionary, keys in itertools.product(PAGES, DICTIONARIES, KEYS):
        yield fill(page=page, dictionary=dictionary, keys=keys)
    for shape, algorithm, keys, footer in itertools.product(
        ["nested", "groups", "empty", "index"], ALGORITHMS, KEYS, FOOTERS
    ):
        yield fill(shape=shape, algorithm=algorithm, keys=keys, footer=footer)


class Kms(pe.KmsClient):
    """Wraps nothing; remembers which data key was for which master key, of which each column has one."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def wrap_key(self, key, name):
        self.seen[name] = key
        return base64.b64encode(key)

    def unwrap_key(self, wrapped, name):
        return base64.b64decode(wrapped)


def leaves(table):
    """Leaf paths as the file will have them; every third is left in the clear."""
    out = os.path.join(folder, "leaves")
    pq.write_table(table, out)
    schema = pq.ParquetFile(out).schema
    return [schema.column(i).path for i in range(len(schema))]


def properties(case, table):
    """Encryption, decryption, and what a reader has to know."""
    plaintext = case["footer"] == "plaintext"
    if case["keys"] == "uniform":
        key = bytes((7 * i + case["bits"]) % 256 for i in range(case["bits"] // 8))
        aad = {} if case["aad"] == "none" else {"aad_prefix": PREFIX, "store_aad_prefix": case["aad"] == "stored"}
        write = pe.create_encryption_properties(
            key, encryption_algorithm=case["algorithm"], plaintext_footer=plaintext, **aad
        )
        supplied = {"aad_prefix": PREFIX} if case["aad"] == "supplied" else {}
        read = lambda: pe.create_decryption_properties(key, **supplied)
        return write, read, lambda: {"footer": key.hex(), "columns": {}, "clear": []}
    paths = leaves(table)
    # Names of keys may hold no comma, colon or semicolon.
    named = {f"k{number}": path for number, path in enumerate(paths) if number % 3 != 2}
    seen = {}
    factory = pe.CryptoFactory(lambda _: Kms(seen))
    connection = pe.KmsConnectionConfig()
    write = factory.file_encryption_properties(
        connection,
        pe.EncryptionConfiguration(
            footer_key="footer",
            column_keys={name: [path] for name, path in named.items()},
            encryption_algorithm=case["algorithm"],
            plaintext_footer=plaintext,
            double_wrapping=False,
            data_key_length_bits=case["bits"],
        ),
    )
    return (
        write,
        lambda: factory.file_decryption_properties(connection),
        lambda: {
            "footer": seen["footer"].hex(),
            "columns": {path: seen[name].hex() for name, path in named.items()},
            "clear": [path for path in paths if path not in named.values()],
        },
    )


def chunk_digests(path, decryption):
    digests = {}
    with open(path, "rb") as file:
        stored = file.read()
    metadata = pq.ParquetFile(path, decryption_properties=decryption).metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            digest = hashlib.sha256(stored[start : start + chunk.total_compressed_size]).hexdigest()
            digests.setdefault(chunk.path_in_schema, []).append(digest)
    return digests


for shape, (table, _) in SHAPES.items():
    pq.write_table(table, os.path.join(folder, f"{shape}.clear"))
for number, case in enumerate([] if sys.argv[2:] else cases()):
    table, more = SHAPES[case["shape"]]
    path = os.path.join(folder, f"{number}.parquet")
    write, read, known = properties(case, table)
    pq.write_table(
        table,
        path,
        compression=case["codec"],
        use_dictionary=case["dictionary"],
        data_page_version=case["page"],
        encryption_properties=write,
        **more,
    )
    name = " ".join(str(value) for value in case.values())
    print(
        json.dumps(
            {
                "name": f"{name} dictionary={case['dictionary']}",
                "file": path,
                "twin": os.path.join(folder, f"{case['shape']}.clear"),
                "ctr": case["algorithm"] == "AES_GCM_CTR_V1",
                "aad": case["aad"],
                "prefix": PREFIX.hex(),
                "digests": chunk_digests(path, read()),
            }
            | known()
        )
    )
