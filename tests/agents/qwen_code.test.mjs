// Qwen Code: one sentence, one call of its run_shell_command, its result sent back, the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, DONE, PROMPT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("run_shell_command", { command: COMMAND, is_background: false });
});
after(() => scratch.stop());

test("Qwen Code calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  const args = ["--yolo", "--auth-type", "openai", "--model", "scripted", PROMPT];
  const text = await scratch.run("qwen", args, {
    OPENAI_API_KEY: "any",
    OPENAI_BASE_URL: `${scratch.url}/v1`,
  });
  assert.equal(text.trim(), DONE);
  scratch.assertTwoTurns(t);
});
