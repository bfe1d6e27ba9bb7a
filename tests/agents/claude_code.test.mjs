// Claude Code: one sentence, one call of its Bash, its result sent back, the end.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Lockstep } from "../support/lockstep.mjs";
import { templateThatCalls, writeScriptedModel } from "./scripted_model.mjs";

const folder = mkdtempSync(join(tmpdir(), "lockstep-claude-"));
const project = join(folder, "project");
let server;
before(async () => {
  const file = join(folder, "scripted.gguf");
  writeScriptedModel(file, {
    name: "scripted",
    template: templateThatCalls("Bash"),
    answers: {
      call: '<tool_call>\n{"name": "Bash", "arguments": {"command": "printf scripted > proof.txt && echo written"}}\n</tool_call>',
      done: "The file is written.",
    },
  });
  server = await Lockstep.start("--model", file, "--context", 131072, "--sessions", 2);
  mkdirSync(project);
  writeFileSync(join(project, "README.md"), "# A scratch repository\n");
  execFileSync("git", ["init", "--quiet"], { cwd: project });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function claude(...args) {
  const command = new URL("node_modules/.bin/claude", import.meta.url).pathname;
  const child = spawn(command, args, {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      ANTHROPIC_BASE_URL: server.url,
      ANTHROPIC_AUTH_TOKEN: "any",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    },
  });
  const out = { text: "", errors: "" };
  child.stdout.on("data", (data) => (out.text += data));
  child.stderr.on("data", (data) => (out.errors += data));
  const [code] = await once(child, "close");
  assert.equal(code, 0, `${out.text}\n${out.errors}\n${server.log}`);
  return JSON.parse(out.text);
}

test("Claude Code calls a tool and comes to its end", { timeout: 300_000 }, async () => {
  const result = await claude("-p", "Write a file.", "--model", "scripted", "--output-format",
    "json", "--allowedTools", "Bash");
  assert.equal(result.is_error, false, JSON.stringify(result));
  assert.equal(result.result, "The file is written.");
  assert.equal(result.num_turns, 2);
  assert.equal(readFileSync(join(project, "proof.txt"), "utf8"), "scripted");
  // The second request found what the first one had left.
  const { input_tokens, cache_read_input_tokens } = result.usage;
  assert.ok(cache_read_input_tokens > 0.47 * (input_tokens + cache_read_input_tokens),
    JSON.stringify(result.usage));
});
