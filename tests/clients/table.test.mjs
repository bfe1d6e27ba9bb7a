// The table of README.md is what the run gave, and nothing else passes.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const HEAD = "| client | version | language | basic | stream | tools | structured | errors | cancel | run |";

test("the table has what the tests reported, and another one is refused", () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-table-"));
  const readme = join(folder, "README.md"), reports = join(folder, "reports");
  const report = (group, ...lines) => writeFileSync(join(reports, group), `${lines.join("\n")}\n`);
  const seen = (feature, passed = true, client = "llm") =>
    JSON.stringify({ language: "Python", client, version: "1.0", feature, passed });
  const table = (action) => {
    const script = new URL("table.mjs", import.meta.url).pathname;
    const run = spawnSync(process.execPath, [script, action, reports, readme], { encoding: "utf8" });
    return { code: run.status, out: run.stdout + run.stderr };
  };
  try {
    mkdirSync(reports);
    writeFileSync(readme, `# Before\n\n${HEAD}\n|---|\n| llm | 0.9 | by hand |\n\nAfter\n`);
    report("sdk.jsonl", seen("basic"), seen("basic"), seen("errors"), seen("errors", false));
    report("node.tap", "ok 1 - openai [basic, stream]: some text", "ok 2 - without a client");
    report("litellm.jsonl", seen("tools", true, "dspy"));
    assert.equal(table("--check").code, 1);
    assert.equal(table("--write").code, 0);
    const lines = readFileSync(readme, "utf8").split("\n");
    const { version } = JSON.parse(
      readFileSync(new URL("node_modules/openai/package.json", import.meta.url), "utf8"),
    );
    assert.deepEqual(lines.slice(4, 9), [
      "| dspy | 1.0 | Python | | | yes | | | | long |",
      "| llm | 1.0 | Python | yes | | | | no | | each |",
      `| openai | ${version} | JavaScript | yes | yes | | | | | each |`,
      "",
      "After",
    ]);
    assert.deepEqual(table("--check").code, 0);

    rmSync(join(reports, "litellm.jsonl")); // of a run that is not the long one
    assert.equal(table("--check").code, 0);
    report("sdk.jsonl", seen("basic"));
    assert.match(table("--check").out, /^not in it: \| llm \| 1\.0 .*\nnot seen: {2}\| llm /m);
    rmSync(join(reports, "sdk.jsonl"));
    assert.equal(table("--check").code, 1);
    report("skipped");
    assert.equal(table("--check").code, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
