// Claude Code: one sentence, one call of its Bash, its result sent back, the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, DONE, PROMPT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => (scratch = await Scratch.start("Bash", { command: COMMAND })));
after(() => scratch.stop());

test("Claude Code calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  const args = ["-p", PROMPT, "--model", "scripted", "--output-format", "json",
    "--allowedTools", "Bash"];
  const result = JSON.parse(await scratch.run("claude", args, {
    ANTHROPIC_BASE_URL: scratch.url,
    ANTHROPIC_AUTH_TOKEN: "any",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  }));
  assert.equal(result.is_error, false, JSON.stringify(result));
  assert.equal(result.result, DONE);
  assert.equal(result.num_turns, 2);
  scratch.assertTwoTurns(t);
});
