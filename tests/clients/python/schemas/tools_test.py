"""Tools as coding agents have them, and such with what cannot be bound, in each form in which models
write calls: none is refused, and an answer breaks nothing but what is named as dropped. By jsonschema,
and by ajv in Node.js. The schemas have the constructs of recorded ones, under other names; $ANSWERS, 2
by default, is how many answers there are to each."""
import json
import os
import pathlib
import subprocess
import unittest

import jsonschema
from client_test_case import ROOT

CLIENTS = ROOT / "tests" / "clients"
OUTPUTS = pathlib.Path(os.environ["LOCKSTEP"]).with_name("schema_outputs")
ANSWERS = int(os.environ.get("ANSWERS", "2"))


def outputs(form):
    with open(ROOT / "tests" / "data" / "tool_schemas.json") as schemas:
        made = subprocess.run([OUTPUTS, "--calls", form, "--answers", str(ANSWERS)], stdin=schemas,
                              capture_output=True, text=True)
    return made.stdout, made.stderr


def validator(schema):
    # A list of items is of the drafts before 2020-12.
    draft = jsonschema.Draft7Validator if '"items": [' in json.dumps(schema) else (
        jsonschema.Draft202012Validator)
    return draft(schema, format_checker=draft.FORMAT_CHECKER)


def broken(schema, value):
    """As a dropped keyword is named."""
    for error in validator(schema).iter_errors(value):
        *path, keyword = error.absolute_schema_path
        yield "".join(f"/{part}" for part in ["schema", *path])[1:] + f": {keyword}"


class ToolsTest(unittest.TestCase):
    def check(self, form):
        made, refused = outputs(form)
        self.assertEqual(refused, "")
        lines = [json.loads(line) for line in made.splitlines()]
        whole = [line for line in lines if line["finish"] == "stop"]
        # At this temperature, many a text without quotes goes on to the last token.
        self.assertGreater(len(whole), len(lines) / 5)
        for line in whole:
            for what in broken(line["schema"], json.loads(line["text"])):
                self.assertIn(what, line["dropped"], f"{form}: {line['schema']}\n{line['text']}")
        # ajv, without what was dropped, which must be there.
        for line in lines:
            for dropped in line["dropped"]:
                leave_out(line["schema"], dropped)
        ajv = subprocess.run(["node", "check_outputs.mjs"], cwd=CLIENTS, capture_output=True, text=True,
                             input="".join(json.dumps(line) + "\n" for line in lines))
        self.assertEqual(ajv.returncode, 0, ajv.stdout)

    def test_json(self):
        self.check("json")

    def test_parameters_in_tags(self):
        self.check("tagged")

    def test_gemma(self):
        self.check("gemma")

    def test_pythonic(self):
        self.check("pythonic")


def leave_out(schema, dropped):
    path, keyword = dropped.split(": ")
    for part in path.split("/")[1:]:
        schema = schema[int(part) if isinstance(schema, list) else part]
    value = schema.pop(keyword)
    if keyword == "oneOf":  # it is lost that no two hold
        schema["anyOf"] = value


if __name__ == "__main__":
    unittest.main()
