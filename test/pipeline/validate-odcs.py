"""Holds a YAML document against the published JSON schema of the Open Data Contract Standard; prints JSON.

usage: validate-odcs.py FILE

Prints the version of the standard that the schema is of, and one line for each thing that it does not allow.
"""

import json
import sys
from importlib.resources import files

import yaml
from jsonschema import Draft201909Validator

schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
Draft201909Validator.check_schema(schema)
with open(sys.argv[1], encoding="utf-8") as file:
    document = yaml.safe_load(file)
errors = [
    f"{'/'.join(str(part) for part in error.absolute_path)}: {error.message}"
    for error in Draft201909Validator(schema).iter_errors(document)
]
print(json.dumps({"version": schema["properties"]["apiVersion"]["default"], "errors": errors}))
