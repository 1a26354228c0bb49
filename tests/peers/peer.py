"""What every peer of the bench shares: one JSON object a line in, one out, until the end of the input.

The first line says {"threads", "tables": {name: [{"path", "key", "aad"}]}} (hex; no key: in the clear). Each further
line says {"sql", "answer"}: the query is run once, reading and decrypting included, its whole result fetched, and
{"ms"} or {"error"} is said; with an "answer" the result is also written there as an Arrow stream.
"""

import json
import re
import sys
import time

import pyarrow as pa
import pyarrow.ipc


def serve(open_peer):
    setup = json.loads(sys.stdin.readline())
    pa.set_cpu_count(setup["threads"])
    run = open_peer(setup["tables"], setup["threads"])
    print(json.dumps({"ms": 0}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        begin = time.perf_counter()
        try:
            result = run(request["sql"])
        except Exception as error:
            print(json.dumps({"error": str(error)[:500]}), flush=True)
            continue
        took = (time.perf_counter() - begin) * 1e3
        if request["answer"]:
            with pa.ipc.new_stream(request["answer"], result.schema) as out:
                out.write_table(result)
        print(json.dumps({"ms": took}), flush=True)


def words(sql):
    """Names that occur in a query; TPC-H's columns are named apart, so these are the columns that it needs."""
    return set(re.findall(r"[a-z_][a-z0-9_]*", sql))
