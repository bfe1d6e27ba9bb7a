// opencode: one sentence, one call of its bash, its result sent back, the end; and a title for the
// session, asked without tools.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, CONTEXT, DONE, PROMPT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("bash", { command: COMMAND });
  scratch.write("project/opencode.json", JSON.stringify({
    provider: {
      lockstep: {
        npm: "@ai-sdk/openai-compatible",
        options: { baseURL: `${scratch.url}/v1`, apiKey: "any" },
        models: { scripted: { limit: { context: CONTEXT, output: 2048 } } },
      },
    },
    model: "lockstep/scripted",
    autoupdate: false,
    share: "disabled",
  }));
});
after(() => scratch.stop());

test("opencode calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  const text = await scratch.run("opencode", ["run", "--auto", PROMPT]);
  assert.match(text, new RegExp(DONE));
  scratch.assertTwoTurns(t);
});
