"""Renders the Helm chart and the Kustomize base, and validates Kubernetes objects by schema."""
import copy
import functools
import json
import os
import pathlib
import subprocess

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ["CHART_TOOLS"])
CHART = ROOT / "docker/chart/lockstep"
KUBERNETES = "1.37"


def tool(name, *arguments, text=None):
    """What helm, kubectl or promtool writes; AssertionError with what it says where it fails."""
    done = subprocess.run([TOOLS / name, *map(str, arguments)], input=text, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def render(values):
    """The chart's objects with these values, a nested dict, as a release `tales` in `stories`."""
    text = tool("helm", "template", "tales", CHART, "--namespace", "stories", "--values", "-",
                text=json.dumps(values))
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def of_kind(objects, kind):
    found = [each for each in objects if each["kind"] == kind]
    assert len(found) <= 1, f"{len(found)} of {kind}"
    return found[0] if found else None


def manifest():
    """The objects of docker/k8s."""
    return [each for each in yaml.safe_load_all((ROOT / "docker/k8s/lockstep.yaml").read_text()) if each]


def pod_of(objects):
    return of_kind(objects, "Deployment")["spec"]["template"]


def container_of(objects):
    (container,) = pod_of(objects)["spec"]["containers"]
    return container


def environment_of(container):
    return {each["name"]: each.get("value") for each in container["env"]}


class Loader(yaml.CSafeLoader):
    """Takes a lone `=` for itself, which YAML 1.1 has another meaning for, and Go does not."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


@functools.cache
def custom_schema(version, kind):
    """The strict JSON schema of a custom resource's definition, or None."""
    group, _, version = version.partition("/")
    file = TOOLS / "crd" / f"{group}_{kind.lower()}s.yaml"
    if not file.exists():
        return None
    (definition,) = (each for each in yaml.load_all(file.read_text(), Loader) if each)
    (served,) = (each for each in definition["spec"]["versions"] if each["name"] == version)
    return strict(served["schema"]["openAPIV3Schema"])


def strict(schema, top=True):
    """As an API server prunes: what a definition does not name is not there. Here it is an error."""
    schema = copy.copy(schema)
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = strict(schema[key], top=False)
    if "properties" in schema:
        schema["properties"] = {name: strict(each, top=False) for name, each in schema["properties"].items()}
        if top:
            schema["properties"]["metadata"] = {"type": "object"}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    return schema


def validate(thing):
    """jsonschema.ValidationError if the object is not what its kind's schema says; no name is unknown."""
    schema = custom_schema(thing["apiVersion"], thing["kind"])
    if schema:
        jsonschema.Draft7Validator(schema).validate(thing)
    else:
        kubernetes_validate.validate(thing, KUBERNETES, strict=True)
