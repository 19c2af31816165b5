"""Reads columns of a table with pyiceberg and prints its rows, in the order of their offsets, as Trino's client gets them.

Whole numbers that a double does not hold are texts.
"""

import base64
import json
import math
import struct
import sys
import uuid
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa

from lake_table import open_table

uri, s3_endpoint, name, *columns = sys.argv[1:]


def moment(value: datetime) -> str:
    zone = "" if value.tzinfo is None else " UTC"
    return f"{value.year:04}-{value.month:02}-{value.day:02} {clock(value)}{zone}"


def clock(value) -> str:
    return f"{value.hour:02}:{value.minute:02}:{value.second:02}.{value.microsecond:06}"


def number(value: float, kind: pa.DataType):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return shortest(value) if pa.types.is_float32(kind) else value


def shortest(value: float) -> float:
    """The number of fewest digits that is this one in 32 bits."""
    texts = (f"{value:.{digits}g}" for digits in range(1, 18))
    return next(float(text) for text in texts if struct.unpack("f", struct.pack("f", float(text)))[0] == value)


def shown(value, kind: pa.DataType):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(kind, pa.UuidType):
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value))
    if pa.types.is_map(kind):
        return {key: shown(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [shown(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return [shown(value[field.name], field.type) for field in kind]
    if isinstance(value, float):
        return number(value, kind)
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    if isinstance(value, time):
        return clock(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{type(value)} of {kind}")


rows = open_table(uri, s3_endpoint, name).scan().to_arrow().sort_by("_kafka_offset")
printed = [[shown(value, rows[column].type) for value in rows[column].to_pylist()] for column in columns]
print(json.dumps(list(zip(*printed)), ensure_ascii=False))
