// A server with a scripted model, a scratch repository beside it, and an agent that runs there.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Lockstep } from "../support/lockstep.mjs";
import { Recorder } from "./recorder.mjs";
import { templateThatCalls, writeScriptedModel } from "./scripted_model.mjs";

export const PROMPT = "Write a file.";
export const COMMAND = "printf scripted > proof.txt && wc -c proof.txt";
export const RESULT = /8 proof\.txt/; // what it prints
export const DONE = "The file is written.";
export const CONTEXT = 131072; // a token of the scripted model is a byte

const BIN = new URL("node_modules/.bin", import.meta.url).pathname;

export class Scratch {
  // The model calls `tool` with `arguments_`, and is done when it has the result.
  static async start(tool, arguments_) {
    const scratch = new Scratch();
    scratch.folder = mkdtempSync(join(tmpdir(), "lockstep-agent-"));
    scratch.project = join(scratch.folder, "project");
    const file = join(scratch.folder, "scripted.gguf");
    const call = `{"name": "${tool}", "arguments": ${JSON.stringify(arguments_)}}`;
    writeScriptedModel(file, {
      name: "scripted",
      template: templateThatCalls(tool),
      answers: { call: `<tool_call>\n${call}\n</tool_call>`, done: DONE },
    });
    scratch.server = await Lockstep.start("--model", file, "--context", CONTEXT, "--sessions", 2);
    scratch.recorder = await Recorder.start(scratch.server.url);
    scratch.url = scratch.recorder.url;
    scratch.write("project/README.md", "# A scratch repository\n");
    execFileSync("git", ["init", "--quiet"], { cwd: scratch.project });
    return scratch;
  }

  async stop() {
    this.recorder.stop();
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  // A file below the folder, which is the agent's home.
  write(path, text) {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  // What the agent prints. It has to end well. Scripts of its package find the Node.js that is
  // installed beside them.
  async run(agent, args, env = {}) {
    const child = spawn(join(BIN, agent), args, {
      cwd: this.project,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 280_000, // a little less than the tests', which could not end while it runs
      killSignal: "SIGKILL",
      env: { PATH: `${BIN}:${process.env.PATH}`, HOME: this.folder, ...env },
    });
    let text = "";
    let errors = "";
    child.stdout.on("data", (data) => (text += data));
    child.stderr.on("data", (data) => (errors += data));
    const [code] = await once(child, "close");
    assert.equal(code, 0, `${text}\n${errors}\n${this.recorder}\n${this.server.log}`);
    return text;
  }

  // What every agent has to have done in its two turns: run its own tool, sent back what that
  // printed, and found all but the new of its second prompt in the cache.
  assertTwoTurns(t) {
    const turns = this.recorder.exchanges.filter(({ sent }) => sent.tools?.length > 0);
    const seen = `${this.recorder}\n${this.server.log}`;
    assert.equal(turns.length, 2, seen);
    assert.equal(readFileSync(join(this.project, "proof.txt"), "utf8"), "scripted");
    assert.match(JSON.stringify(turns[1].sent), RESULT);
    assert.ok(this.recorder.exchanges.every(({ status }) => status === 200), seen);
    const { prompt, cached } = turns[1].usage;
    t.diagnostic(`of the second prompt ${cached} of ${prompt} tokens were cached`);
    assert.ok(cached >= 0.95 * prompt, seen);
  }
}
