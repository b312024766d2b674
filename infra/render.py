#!/usr/bin/env python3
"""Expands the templates for the functions of functions.yaml, into target/infra, which is what is checked and deployed.

    render.py [NAME]

With the name of a template, prints that one instead. The templates are written in Jinja2: `#%` begins a statement, and
`<< >>` encloses a value. Fn::ForEach of CloudFormation would not do: it cannot generate items of a list, which the alarms
need, functions differ in more than a name, checkov does not know it, and sam's support for it is opt-in.
"""

import functools
import pathlib
import sys

import jinja2
import yaml

INFRA = pathlib.Path(__file__).parent
TARGET = INFRA.parent / "target/infra"
TEMPLATES = ("template", "network", "data", "observability", "api", "dashboard")
DEFAULTS = {"memory": None, "timeout": None, "redis": True, "concurrency": None, "cached": False, "writes": False, "routes": {}}


def function(name, entry):
    """A function: its entry in functions.yaml, with defaults."""
    if not {"does"} <= set(entry) <= {"does", *DEFAULTS}:
        raise ValueError(f"functions.yaml: {name} needs does, and may have {', '.join(DEFAULTS)}")
    if ("routes" in entry) != ("concurrency" in entry):
        raise ValueError(f"functions.yaml: {name} needs both concurrency and routes, or neither")
    described = {"name": name, "title": name.title(), **DEFAULTS, **entry}
    # Whoever may read may ask what would be read.
    heads = {f"{route}Head": key.replace("GET", "HEAD", 1) for route, key in described["routes"].items() if key.startswith("GET ")}
    return {**described, "routes": {**described["routes"], **heads}}


@functools.cache
def functions():
    """All functions, in the order of functions.yaml."""
    listed = yaml.safe_load((INFRA / "functions.yaml").read_text())
    return [function(name, entry) for name, entry in listed.items()]


def operations():
    """The functions that callers can reach."""
    return [one for one in functions() if one["routes"]]


def render(name):
    """A template, as CloudFormation accepts it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(INFRA),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        line_statement_prefix="#%",
        variable_start_string="<<",
        variable_end_string=">>",
    )
    return environment.get_template(f"{name}.yaml").render(functions=functions(), operations=operations())


def write(folder):
    """Writes all templates into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TEMPLATES:
        (folder / f"{name}.yaml").write_text(render(name))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(render(sys.argv[1]), end="")
    else:
        write(TARGET)
