"""JSON Schema as Kubernetes' API server applies it to a custom resource: the part that the schema here uses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TYPES = {"object": Mapping, "string": str, "integer": int, "boolean": bool}


def faults(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """What does not fit; unknown fields are faults, as with ``kubectl create --validate=strict``."""
    schema = definitions[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type")
    if kind == "quantity":  # as Kubernetes writes them; a plain number would be one too, but reads as a mistake
        kind = "string"
    if kind == "array":
        if not isinstance(value, Sequence) or isinstance(value, str):
            yield f"{place}: no list"
            return
        for number, item in enumerate(value):
            yield from faults(item, schema["items"], definitions, f"{place}[{number}]")
        return
    if kind is not None and (not isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, bool))):
        yield f"{place}: no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: none of {schema['enum']}"
    if kind == "integer" and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{place}: {value} out of range"
    if kind == "object":
        yield from (f"{place}.{name}: missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if known is None:
                yield f"{place}.{name}: unknown"
            else:
                yield from faults(inner, known, definitions, f"{place}.{name}")
