"""Servers of the embedded model, as it is and with a chat template that knows tools."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests" / "support"))
from launch import Process, poll  # noqa: E402, F401

# In the form of Hermes.
HERMES = """{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>{% endif %}
{% for m in messages %}{{ m.role }}: {{ m.content or "" }}{% for c in m.tool_calls or [] %}
<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}
{% endfor %}"""


def start(*flags):
    return Process([os.environ["LOCKSTEP"], *flags])


def start_tooled(template=HERMES):
    with tempfile.TemporaryDirectory() as folder:  # the file is read when the server is ready
        file = f"{folder}/hermes.gguf"
        script = "import('./template.mjs').then((t) => t.withTemplate(...process.argv.slice(1)))"
        subprocess.run(["node", "-e", script, str(ROOT / "core/model/embedded/tales.gguf"), file,
                        template], cwd=ROOT / "tests" / "clients", check=True)
        return start("--model", file)
