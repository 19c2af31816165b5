"""Reads a table with pyiceberg and prints, as JSON, what readers.stack.test.ts compares.

usage: read-table.py CATALOG_URI S3_ENDPOINT TABLE FROM_MICROS

A value's text: whole numbers, days, microseconds and unscaled decimals in decimal digits; texts as they are.
A column's checksum: SHA-256 over one line a row, in the order of partition and offset.
"""

import hashlib
import json
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from lake_table import open_table

uri, s3_endpoint, name, from_micros = sys.argv[1:]
table = open_table(uri, s3_endpoint, name)


def texts(column: pa.ChunkedArray):
    """The column's values as texts, None for null."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    for value in column.to_pylist():
        if isinstance(value, Decimal):
            value = int(value.scaleb(column.type.scale))
        yield None if value is None else str(value)


def checksum(column: pa.ChunkedArray) -> str:
    digest = hashlib.sha256()
    for text in texts(column):
        digest.update((json.dumps(text, ensure_ascii=False) + "\n").encode())
    return digest.hexdigest()


rows = table.scan().to_arrow().sort_by([("_kafka_partition", "ascending"), ("_kafka_offset", "ascending")])
moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=int(from_micros))
recent = table.scan(row_filter=f"event_time >= '{moment.isoformat()}'")
print(
    json.dumps(
        {
            "rows": rows.num_rows,
            "durations": str(pc.sum(rows["duration_ms"])),
            "prices": str(pc.sum(rows["url_price"])),
            "checksums": {column: checksum(rows[column]) for column in rows.column_names},
            "files": sorted(task.file.file_path for task in table.scan().plan_files()),
            "recentFiles": sorted(task.file.file_path for task in recent.plan_files()),
            "recentRows": recent.to_arrow().num_rows,
        }
    )
)
