// Claude Code: one sentence, one call of its Bash, its result sent back, the end.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DONE, Scratch } from "./scratch.mjs";

let scratch;
before(async () => (scratch = await Scratch.start("Bash", "command", 131072)));
after(() => scratch.stop());

test("Claude Code calls a tool and comes to its end", { timeout: 300_000 }, async () => {
  const args = ["-p", "Write a file.", "--model", "scripted", "--output-format", "json",
    "--allowedTools", "Bash"];
  const result = JSON.parse(await scratch.run("claude", args, {
    ANTHROPIC_BASE_URL: scratch.server.url,
    ANTHROPIC_AUTH_TOKEN: "any",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  }));
  assert.equal(result.is_error, false, JSON.stringify(result));
  assert.equal(result.result, DONE);
  assert.equal(result.num_turns, 2);
  assert.equal(readFileSync(join(scratch.project, "proof.txt"), "utf8"), "scripted");
  // The second request found what the first one had left.
  const { input_tokens, cache_read_input_tokens } = result.usage;
  assert.ok(cache_read_input_tokens > 0.47 * (input_tokens + cache_read_input_tokens),
    JSON.stringify(result.usage));
});
