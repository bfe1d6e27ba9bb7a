// pi: one sentence, one call of its bash, its result sent back, the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, CONTEXT, DONE, PROMPT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("bash", { command: COMMAND });
  const model = { id: "scripted", contextWindow: CONTEXT, maxTokens: 2048 };
  scratch.write(".pi/agent/models.json", JSON.stringify({
    providers: {
      lockstep: {
        baseUrl: `${scratch.url}/v1`,
        api: "openai-completions",
        apiKey: "any",
        models: [model],
      },
    },
  }));
});
after(() => scratch.stop());

test("pi calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  const args = ["-p", "--offline", "--provider", "lockstep", "--model", "scripted", PROMPT];
  assert.equal((await scratch.run("pi", args)).trim(), DONE);
  scratch.assertTwoTurns(t);
});
