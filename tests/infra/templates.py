"""The templates as data: read, translated as CloudFormation would, and looked through."""

import contextlib
import copy
import functools
import io
import json
import logging
import pathlib
import re
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[2]
INFRA = ROOT / "infra"
sys.path.insert(0, str(INFRA))
import render  # noqa: E402

REGION = "eu-central-1"
NESTED = tuple(name for name in render.TEMPLATES if name != "template")
OPERATIONS = tuple(function["name"] for function in render.operations())
# What the templates name and the code does not have yet, and metrics of the code that the templates name no more. A test
# fails as soon as the code has what is coming, or no longer has what is going.
COMING = {"binaries": set(), "settings": set(), "metrics": set(), "reasons": set()}
GOING = set()
FUNCTIONS = (*(function["name"] for function in render.functions()), "deploy")
# Named here, and not taken from functions.yaml, so that nothing gets a way to Redis, or loses it, by an entry alone.
WITHOUT_REDIS = {"list", "records", "migrate", "deploy"}

logging.getLogger("samtranslator").setLevel(logging.CRITICAL)


@functools.cache
def parsed(name):
    """A template, rendered once."""
    return yaml_parse(render.render(name))


def load(name):
    """A template as it is rendered."""
    return copy.deepcopy(parsed(name))


def translated(parameters=None, bucket="code"):
    """The root template as CloudFormation's own translator leaves it; the code of a function lies in that bucket."""
    template = load("template")
    template["Globals"]["Function"].pop("CodeUri")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{binary}"
    session = boto3.Session(region_name=REGION)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return Translator({}, Parser(), boto_session=session).translate(template, parameters or {})


def of_type(template, kind):
    """The resources of a type, by their names."""
    return {name: found for name, found in template["Resources"].items() if found["Type"] == kind}


def walk(node):
    """Everything in a node, itself first."""
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def references(node):
    """What a node refers to: names, and `name.attribute`."""
    for part in walk(node):
        if not isinstance(part, dict) or len(part) != 1:
            continue
        [(function, argument)] = part.items()
        if function == "Ref":
            yield argument
        elif function == "Fn::GetAtt":
            yield argument if isinstance(argument, str) else ".".join(argument)
        elif function == "Fn::Sub":
            text, own = (argument, {}) if isinstance(argument, str) else argument
            yield from (name for name in re.findall(r"\$\{([A-Za-z][^}!]*)\}", text) if name not in own)


def conditions(node):
    """The conditions that a node decides by."""
    for part in walk(node):
        if isinstance(part, dict) and "Fn::If" in part:
            yield part["Fn::If"][0]
        elif isinstance(part, dict) and isinstance(part.get("Condition"), str):
            yield part["Condition"]


def decided_by(template, condition):
    """The parameters that a condition depends on, through others too."""
    node = template["Conditions"][condition]
    inner = {part["Condition"] for part in walk(node) if isinstance(part, dict) and "Condition" in part}
    return set(references(node)).union(*(decided_by(template, name) for name in inner))


class Stack:
    """A template with values for its parameters: says what its functions come to."""

    def __init__(self, template, **given):
        self.template = template
        declared = template.get("Parameters", {})
        self.values = {name: str(one["Default"]) for name, one in declared.items() if "Default" in one}
        self.values.update(given)
        pseudo = {"Region": REGION, "Partition": "aws", "AccountId": "123456789012", "StackName": "store"}
        self.values.update({f"AWS::{name}": value for name, value in pseudo.items()})

    def holds(self, condition):
        """Whether a condition is true."""
        return self._truth(self.template["Conditions"][condition])

    def allowed(self):
        """What the rules say against these values."""
        for rule in self.template["Rules"].values():
            if "RuleCondition" not in rule or self._truth(rule["RuleCondition"]):
                for one in rule["Assertions"]:
                    if not self._truth(one["Assert"]):
                        yield one["AssertDescription"]

    def _members(self, node):
        value = self.value(node)
        return value if isinstance(value, list) else str(value).split(",")

    def _truth(self, node):
        if isinstance(node, str):
            return self.holds(node)
        [(function, argument)] = node.items()
        if function == "Fn::Contains":
            return str(self.value(argument[1])) in self._members(argument[0])
        if function == "Fn::EachMemberEquals":
            return all(one == argument[1] for one in self._members(argument[0]))
        if function == "Condition":
            return self.holds(argument)
        if function == "Fn::Equals":
            left, right = (str(self.value(side)) for side in argument)
            return left == right
        inner = [self._truth(part) for part in argument]
        return {"Fn::Not": lambda: not inner[0], "Fn::And": lambda: all(inner), "Fn::Or": lambda: any(inner)}[function]()

    def value(self, node):
        """What a node comes to; what only AWS knows stays as it is."""
        if isinstance(node, list):
            return [self.value(part) for part in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(function, argument)] = node.items()
            if function == "Ref":
                return self.values.get(argument, node)
            if function == "Fn::If":
                return self.value(argument[1 if self.holds(argument[0]) else 2])
            if function == "Fn::Sub":
                return self._text(argument)
        return {key: self.value(part) for key, part in node.items()}

    def _text(self, argument):
        text, own = (argument, {}) if isinstance(argument, str) else argument
        values = {**self.values, **{name: self.value(part) for name, part in own.items()}}
        return re.sub(r"\$\{([^}!]+)\}", lambda name: str(values.get(name[1], name[0])), text)

    def resources(self):
        """The resources that there are under these values, with what is in them."""
        for name, resource in self.template["Resources"].items():
            if "Condition" not in resource or self.holds(resource["Condition"]):
                yield name, self.value(resource)


def policy_statements(template):
    """Every statement of every policy of a template, with the resource that it belongs to."""
    for name, resource in template["Resources"].items():
        for part in walk(resource.get("Properties", {})):
            if isinstance(part, dict) and "Effect" in part and "Principal" not in part:
                yield name, part


def listed(value):
    """A list of what may be one."""
    return value if isinstance(value, list) else [value]


def reasons():
    """The reasons of a miss, as the contract lists them."""
    [found] = re.findall(r"fwd=miss; detail=\(([^)]+)\)", (INFRA / "openapi.yaml").read_text())
    return set(found.split("|"))


def dashboard(**given):
    """The widgets of the dashboard."""
    stack = Stack(load("dashboard"), Prefix="store", ApiId="api", **given)
    [(_, resource)] = stack.resources()
    return json.loads(resource["Properties"]["DashboardBody"])["widgets"]


def functions():
    """The functions of the root template as CloudFormation sees them, by their names."""
    stack = Stack(translated())
    named = {}
    for found in of_type(stack.template, "AWS::Lambda::Function").values():
        named[stack.value(found["Properties"]["FunctionName"]).removeprefix("store-")] = found["Properties"]
    return named
