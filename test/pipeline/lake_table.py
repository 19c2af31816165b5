"""Opens a table of the stack's lake with pyiceberg, for the scripts beside it."""

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import Table


def open_table(uri: str, s3_endpoint: str, name: str) -> Table:
    catalog = RestCatalog(
        "lake",
        **{
            "uri": uri,
            "s3.endpoint": s3_endpoint,
            "s3.access-key-id": "tributary",
            "s3.secret-access-key": "tributary-secret",
            "s3.region": "us-east-1",
            "s3.path-style-access": "true",
        },
    )
    return catalog.load_table(name)
