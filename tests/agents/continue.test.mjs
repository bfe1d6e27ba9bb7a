// Continue's cn: one sentence, one call of its Bash, its result sent back, the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, DONE, PROMPT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("Bash", { command: COMMAND });
  scratch.write("config.yaml", `name: scratch
version: 1.0.0
schema: v1
models:
  - name: scripted
    provider: openai
    model: scripted
    apiBase: ${scratch.url}/v1
    apiKey: any
    roles: [chat]
    capabilities: [tool_use]
`);
});
after(() => scratch.stop());

test("cn calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  const args = ["--print", "--auto", "--config", "../config.yaml", PROMPT];
  assert.equal((await scratch.run("cn", args)).trim(), DONE);
  scratch.assertTwoTurns(t);
});
