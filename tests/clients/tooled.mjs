// A server whose model has been told of tools: the embedded one with a chat template in the form of
// Hermes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server } from "./server.mjs";
import { withTemplate } from "./template.mjs";

export const HERMES = `{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>{% endif %}
{% for m in messages %}{{ m.role }}: {{ m.content or "" }}{% for c in m.tool_calls or [] %}
<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}
{% endfor %}`;

export const TALES = new URL("../../core/model/embedded/tales.gguf", import.meta.url).pathname;

export async function startTooled(template = HERMES) {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-tooled-"));
  try {
    const file = join(folder, "hermes.gguf");
    withTemplate(TALES, file, template);
    return await Server.start("--model", file); // which has read the file when it is ready
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// What ai's `tool` makes of a weather that is always rain; runs gets what it was called with.
export const rain = (tool, inputSchema, runs, read = (input) => input) => ({
  get_weather: tool({
    inputSchema,
    execute: async (input) => {
      runs.push(read(input));
      return "rain";
    },
  }),
});
