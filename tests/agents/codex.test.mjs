// Codex: one sentence, one call of its exec_command, its result sent back, the end.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DONE, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("exec_command", "cmd", 65536);
  mkdirSync(join(scratch.folder, ".codex"));
  writeFileSync(
    join(scratch.folder, ".codex", "config.toml"),
    `model = "scripted"
model_provider = "lockstep"
model_context_window = 65536
[model_providers.lockstep]
name = "lockstep"
base_url = "${scratch.server.url}/v1"
wire_api = "responses"
env_key = "LOCKSTEP_KEY"
request_max_retries = 0
stream_max_retries = 0
`,
  );
});
after(() => scratch.stop());

test("Codex calls a tool and comes to its end", { timeout: 300_000 }, async () => {
  const args = ["exec", "--json", "--dangerously-bypass-approvals-and-sandbox", "Write a file."];
  const lines = (await scratch.run("codex", args, { LOCKSTEP_KEY: "any" })).trim().split("\n");
  const events = lines.map((line) => JSON.parse(line));
  const items = events.filter((e) => e.type === "item.completed").map((e) => e.item);
  const run = items.find((item) => item.type === "command_execution");
  assert.equal(run?.exit_code, 0, JSON.stringify(events));
  assert.match(run.aggregated_output, /written/);
  assert.equal(readFileSync(join(scratch.project, "proof.txt"), "utf8"), "scripted");
  assert.equal(items.findLast((item) => item.type === "agent_message")?.text, DONE);
  // The second request found what the first one had left.
  const { usage } = events.findLast((e) => e.type === "turn.completed");
  assert.ok(usage.cached_input_tokens > 0.47 * usage.input_tokens, JSON.stringify(usage));
});
