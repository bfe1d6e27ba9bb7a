// Cline: one sentence, one call of its run_commands, its result sent back, the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, DONE, PROMPT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("run_commands", { commands: [COMMAND] });
  await scratch.run("cline", ["auth", "--provider", "openai-compatible", "--apikey", "any",
    "--modelid", "scripted", "--baseurl", `${scratch.url}/v1`]);
});
after(() => scratch.stop());

test("Cline calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  assert.match(await scratch.run("cline", ["--auto-approve", "true", PROMPT], {
    CLINE_SESSION_BACKEND_MODE: "local",
  }), new RegExp(DONE));
  scratch.assertTwoTurns(t);
});
