"""Holds every example of the contract against the schema that it is an example of."""

import sys

import jsonschema_rs
import yaml


def examples(contract):
    """The examples, each with where it is and the schema beside it."""

    def walk(node, path):
        if isinstance(node, list):
            for at, part in enumerate(node):
                yield from walk(part, [*path, str(at)])
        if not isinstance(node, dict):
            return
        if "schema" in node:
            if "example" in node:
                yield "/".join(path), node["schema"], node["example"]
            for name, example in node.get("examples", {}).items():
                yield "/".join([*path, name]), node["schema"], example["value"]
            return
        for name, part in node.items():
            yield from walk(part, [*path, name])

    yield from walk(contract["paths"], ["paths"])
    yield from walk(contract["components"], ["components"])


def main(file):
    with open(file, encoding="utf-8") as text:
        contract = yaml.safe_load(text)
    wrong = count = 0
    for where, schema, example in examples(contract):
        count += 1
        whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": contract["components"], **schema}
        for error in jsonschema_rs.validator_for(whole).iter_errors(example):
            wrong += 1
            print(f"{where}: {error.message}", file=sys.stderr)
    print(f"{count} examples, {wrong} of them wrong")
    return wrong or not count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
