// A server with a scripted model, a scratch repository beside it, and an agent that runs there.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lockstep } from "../support/lockstep.mjs";
import { templateThatCalls, writeScriptedModel } from "./scripted_model.mjs";

const COMMAND = "printf scripted > proof.txt && echo written";
export const DONE = "The file is written.";

export class Scratch {
  // The model calls `tool` with the command as `argument`, and is done when it has the result.
  static async start(tool, argument, context) {
    const scratch = new Scratch();
    scratch.folder = mkdtempSync(join(tmpdir(), "lockstep-agent-"));
    scratch.project = join(scratch.folder, "project");
    const file = join(scratch.folder, "scripted.gguf");
    const call = `{"name": "${tool}", "arguments": {"${argument}": "${COMMAND}"}}`;
    writeScriptedModel(file, {
      name: "scripted",
      template: templateThatCalls(tool),
      answers: { call: `<tool_call>\n${call}\n</tool_call>`, done: DONE },
    });
    scratch.server = await Lockstep.start("--model", file, "--context", context, "--sessions", 2);
    mkdirSync(scratch.project);
    writeFileSync(join(scratch.project, "README.md"), "# A scratch repository\n");
    execFileSync("git", ["init", "--quiet"], { cwd: scratch.project });
    return scratch;
  }

  async stop() {
    await this.server.stop();
    rmSync(this.folder, { recursive: true });
  }

  // What the agent prints. It finds its home in the folder, and has to end well.
  async run(agent, args, env) {
    const command = new URL(`node_modules/.bin/${agent}`, import.meta.url).pathname;
    const child = spawn(command, args, {
      cwd: this.project,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: this.folder, ...env },
    });
    let text = "";
    let errors = "";
    child.stdout.on("data", (data) => (text += data));
    child.stderr.on("data", (data) => (errors += data));
    const [code] = await once(child, "close");
    assert.equal(code, 0, `${text}\n${errors}\n${this.server.log}`);
    return text;
  }
}
