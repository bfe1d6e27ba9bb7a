// Codex: one sentence, one call of its exec_command, its result sent back, the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMMAND, CONTEXT, DONE, PROMPT, RESULT, Scratch } from "./scratch.mjs";

let scratch;
before(async () => {
  scratch = await Scratch.start("exec_command", { cmd: COMMAND });
  scratch.write(".codex/config.toml", `model = "scripted"
model_provider = "lockstep"
model_context_window = ${CONTEXT}
[model_providers.lockstep]
name = "lockstep"
base_url = "${scratch.url}/v1"
wire_api = "responses"
env_key = "LOCKSTEP_KEY"
request_max_retries = 0
stream_max_retries = 0
`);
});
after(() => scratch.stop());

test("Codex calls a tool and comes to its end", { timeout: 300_000 }, async (t) => {
  const args = ["exec", "--json", "--dangerously-bypass-approvals-and-sandbox", PROMPT];
  const lines = (await scratch.run("codex", args, { LOCKSTEP_KEY: "any" })).trim().split("\n");
  const events = lines.map((line) => JSON.parse(line));
  const items = events.filter((e) => e.type === "item.completed").map((e) => e.item);
  const run = items.find((item) => item.type === "command_execution");
  assert.equal(run?.exit_code, 0, JSON.stringify(events));
  assert.match(run.aggregated_output, RESULT);
  assert.equal(items.findLast((item) => item.type === "agent_message")?.text, DONE);
  scratch.assertTwoTurns(t);
});
