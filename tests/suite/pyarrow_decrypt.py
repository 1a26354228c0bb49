"""Decrypts one file and writes its rows in the clear. Reads a JSON object on standard input: file, out, and either
key (hex) with prefix (hex, or empty where the file stores one or has none), or keys: hex by "<key id> <file id>",
which are asked for as a key service of pyarrow's own is."""

import json
import sys

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe


class Kms(pe.KmsClient):
    """Holds the data keys of files; what a file calls a wrapped key is its id."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys

    def wrap_key(self, key, name):
        raise NotImplementedError

    def unwrap_key(self, wrapped, name):
        if isinstance(wrapped, bytes):
            wrapped = wrapped.decode()
        return bytes.fromhex(self.keys[f"{name} {wrapped}"])


job = json.load(sys.stdin)
if "key" in job:
    prefix = {"aad_prefix": bytes.fromhex(job["prefix"])} if job["prefix"] else {}
    properties = pe.create_decryption_properties(bytes.fromhex(job["key"]), **prefix)
else:
    factory = pe.CryptoFactory(lambda _: Kms(job["keys"]))
    properties = factory.file_decryption_properties(pe.KmsConnectionConfig())
pq.write_table(pq.ParquetFile(job["file"], decryption_properties=properties).read(), job["out"])
