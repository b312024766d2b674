"""The models have what the contract says: each field, whether it is required, and its type."""

import dataclasses
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pytest
import yaml

from conversation_store import Delete, Put, models
from conversation_store.models import (
    AddedMessages,
    Conversation,
    ConversationDeletions,
    ConversationPage,
    Health,
    ItemPage,
    MessagePage,
    OwnerData,
    OwnerErasure,
    Record,
    RecordDeletion,
    RecordPage,
)

CONTRACT = Path(__file__).resolve().parents[3] / "infra" / "openapi.yaml"
pytestmark = pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is in the store's repository")

SCHEMAS: dict[Any, list[str]] = {
    Conversation: ["Conversation"],
    ConversationDeletions: ["ConversationDeletions"],
    ConversationPage: ["ConversationPage"],
    MessagePage: ["MessagePage"],
    ItemPage: ["ItemPage", "AddedItems"],
    Record: ["Record", "StoredRecord"],
    RecordPage: ["RecordPage"],
    AddedMessages: ["AddedMessages", "ReplacedMessages"],
    OwnerData: ["OwnerData"],
    OwnerErasure: ["OwnerErasure"],
    Health: ["HealthReport"],
    RecordDeletion: ["RecordDeletion", "DeletedRecordOfBatch"],
    Put: ["RecordOfText", "RecordOfBytes"],
    Delete: ["DeletedRecord"],
}
# What has another name or type here: bytes, and a condition that says only one thing.
RENAMED = {"base64": "value", "if_none_match": "if_absent"}
BY_ANOTHER_WAY = {(MessagePage, "version")}  # The `ETag`.
JSON = {
    int: "integer",
    str: "string",
    bytes: "string",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}


def loaded() -> dict[str, Any]:
    schemas: dict[str, Any] = yaml.safe_load(CONTRACT.read_text())["components"]["schemas"]
    return schemas


def types_of(schema: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """The JSON types that a schema allows."""
    if "$ref" in schema:
        return types_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "type" in schema:
        return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    if "anyOf" in schema:
        return set().union(*(types_of(it, schemas) for it in schema["anyOf"]))
    values = [schema["const"]] if "const" in schema else schema["enum"]
    return {JSON[type(it)] for it in values}


def kinds_of(hint: Any) -> set[str]:
    """The JSON types of a type."""
    if get_origin(hint) in (Union, types.UnionType):
        return set().union(*(kinds_of(it) for it in get_args(hint)))
    if get_origin(hint) is Literal:
        return {JSON[type(it)] for it in get_args(hint)}
    kind = get_origin(hint) or hint
    if dataclasses.is_dataclass(kind):
        return {"object"}
    return {"array"} if isinstance(kind, TypeVar) else {JSON[kind]}


def differences(schemas: dict[str, Any]) -> Iterator[str]:
    """Where models and schemas differ."""
    for model, names in SCHEMAS.items():
        hints = get_type_hints(model)
        fields = {it.name: it for it in dataclasses.fields(model)}
        parts = [schemas[name] for name in names]
        properties = [each for part in parts for each in part["properties"].items()]
        said = {RENAMED.get(name, name) for name, _ in properties}
        for name in fields.keys() - said:
            if (model, name) not in BY_ANOTHER_WAY:
                yield f"{model.__name__}.{name} is not in the contract"
        for name, schema in properties:
            if "const" in schema and name not in fields and schema["const"] in ("list", "record", True, False):
                continue  # It says nothing.
            if "const" in schema and name == "object":
                continue
            mine = fields.get(RENAMED.get(name, name))
            if mine is None:
                yield f"{model.__name__} has no {name}"
                continue
            kinds, allowed = kinds_of(hints[mine.name]), types_of(schema, schemas)
            if name != "if_none_match" and kinds - {"null"} != allowed - {"null"}:
                yield f"{model.__name__}.{name} is {kinds}, and {allowed} in the contract"
            always = all(name in part["required"] for part in parts)
            given = mine.default is dataclasses.MISSING and mine.default_factory is dataclasses.MISSING
            if always and "null" not in allowed and (not given or "null" in kinds):
                yield f"{model.__name__}.{name} is always there"
            if ("null" in allowed or not always) and given and name not in RENAMED and mine.name != "value":
                yield f"{model.__name__}.{name} may be missing"


def test_models_are_as_the_contract_says() -> None:
    assert list(differences(loaded())) == []
    known = {it for _, it in inspect.getmembers(models, dataclasses.is_dataclass)}
    # An export is no JSON as a whole.
    assert known - {models.Page, models.ExportPage} == set(SCHEMAS)


@pytest.mark.parametrize("model", SCHEMAS, ids=lambda it: it.__name__)
def test_what_the_contract_gains_or_changes_is_noticed(model: Any) -> None:
    name = SCHEMAS[model][0]
    for change in ({"new": {"type": "string"}}, {next(iter(loaded()[name]["properties"])): {"type": "number"}}):
        schemas = loaded()
        schemas[name]["properties"] |= change
        assert len(list(differences(schemas))) == 1
    schemas = loaded()
    schemas["Conversation"]["required"].remove("metadata")
    schemas["HealthReport"]["required"].append("redis")
    assert list(differences(schemas)) == ["Conversation.metadata may be missing", "Health.redis is always there"]
