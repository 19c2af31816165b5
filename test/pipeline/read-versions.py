"""Reads a table with pyiceberg as it is and as it was, and prints the columns and rows of each version as JSON.

usage: read-versions.py CATALOG_URI S3_ENDPOINT TABLE COLUMNS SNAPSHOT_ID...

COLUMNS: names with commas between them, of which those are read that the version has. A row is a list of texts.
"""

import json
import sys

from lake_table import open_table

uri, s3_endpoint, name, columns, *snapshots = sys.argv[1:]
table = open_table(uri, s3_endpoint, name)


def version(scan):
    rows = scan.to_arrow()
    wanted = [column for column in columns.split(",") if column in rows.column_names]
    cells = [rows[column].to_pylist() for column in wanted]
    texts = [[None if cell is None else str(cell) for cell in row] for row in zip(*cells)]
    return {"columns": wanted, "rows": sorted(texts, key=lambda row: json.dumps(row))}


print(json.dumps([version(table.scan(snapshot_id=int(snapshot))) for snapshot in snapshots]))
