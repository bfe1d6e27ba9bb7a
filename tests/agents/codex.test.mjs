// Codex: one sentence, one call of its exec_command, its result sent back, the end.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Lockstep } from "../support/lockstep.mjs";
import { templateThatCalls, writeScriptedModel } from "./scripted_model.mjs";

const COMMAND = "printf scripted > proof.txt && echo written";
const folder = mkdtempSync(join(tmpdir(), "lockstep-codex-"));
const project = join(folder, "project");
let server;
before(async () => {
  const file = join(folder, "scripted.gguf");
  writeScriptedModel(file, {
    name: "scripted",
    template: templateThatCalls("exec_command"),
    answers: {
      call: `<tool_call>\n{"name": "exec_command", "arguments": {"cmd": "${COMMAND}"}}\n</tool_call>`,
      done: "The file is written.",
    },
  });
  server = await Lockstep.start("--model", file, "--context", 65536, "--sessions", 2);
  mkdirSync(project);
  writeFileSync(join(project, "README.md"), "# A scratch repository\n");
  execFileSync("git", ["init", "--quiet"], { cwd: project });
  mkdirSync(join(folder, ".codex"));
  writeFileSync(
    join(folder, ".codex", "config.toml"),
    `model = "scripted"
model_provider = "lockstep"
model_context_window = 65536
[model_providers.lockstep]
name = "lockstep"
base_url = "${server.url}/v1"
wire_api = "responses"
env_key = "LOCKSTEP_KEY"
request_max_retries = 0
stream_max_retries = 0
`,
  );
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

// What it prints with --json, a line each.
async function codex(...args) {
  const command = new URL("node_modules/.bin/codex", import.meta.url).pathname;
  const child = spawn(command, args, {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: folder, LOCKSTEP_KEY: "any" },
  });
  const out = { text: "", errors: "" };
  child.stdout.on("data", (data) => (out.text += data));
  child.stderr.on("data", (data) => (out.errors += data));
  const [code] = await once(child, "close");
  assert.equal(code, 0, `${out.text}\n${out.errors}\n${server.log}`);
  return out.text.trim().split("\n").map((line) => JSON.parse(line));
}

test("Codex calls a tool and comes to its end", { timeout: 300_000 }, async () => {
  const events = await codex("exec", "--json", "--dangerously-bypass-approvals-and-sandbox",
    "Write a file.");
  const items = events.filter((e) => e.type === "item.completed").map((e) => e.item);
  const run = items.find((item) => item.type === "command_execution");
  assert.equal(run?.exit_code, 0, JSON.stringify(events));
  assert.match(run.aggregated_output, /written/);
  assert.equal(readFileSync(join(project, "proof.txt"), "utf8"), "scripted");
  assert.equal(items.findLast((item) => item.type === "agent_message")?.text, "The file is written.");
  // The second request found what the first one had left.
  const { usage } = events.findLast((e) => e.type === "turn.completed");
  assert.ok(usage.cached_input_tokens > 0.47 * usage.input_tokens, JSON.stringify(usage));
});
