// usage: node table.mjs --print|--check|--write REPORTS [README]
// The table of README.md: which client was seen to do what, made of what the tests reported, so that
// nobody can claim more. REPORTS has a file for each group of tests that were run: GROUP.jsonl of
// those in Python (python/client_test_case.py), GROUP.tap of those in JavaScript, whose names say
// what they show: "openai [basic, stream]: ...".
//   --check  fails unless README.md has just these rows, of the groups that were run
//   --write  writes them there
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";

const FEATURES = ["basic", "stream", "tools", "structured", "errors", "cancel"];
const LONG = ["litellm", "kernel", "evaluation"]; // these groups take long
const FOLDER = { node: ".", newest: "newest" }; // of the packages in JavaScript
const HEAD = ["client", "version", "language", ...FEATURES, "run"];

const [action, reports, readme = new URL("README.md", import.meta.url).pathname] =
  process.argv.slice(2);

function ofPython(file) {
  return readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
}

function ofNode(file, group) {
  const tests = readFileSync(file, "utf8").matchAll(/^\s*(not )?ok \d+ - (\S+) \[([a-z, ]+)\]: /gm);
  return [...tests].flatMap(([, not, client, features]) => {
    const folder = new URL(`${FOLDER[group]}/node_modules/${client}/`, import.meta.url);
    const { version } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
    return features.split(", ").map((feature) => {
      if (!FEATURES.includes(feature)) throw new Error(`${client}: ${feature} is no column`);
      return { language: "JavaScript", client, version, feature, passed: !not };
    });
  });
}

// A row's text by its first columns. A cell is what all tests of it say.
function rowsOf(folder) {
  const rows = new Map();
  for (const name of readdirSync(folder).sort()) {
    const group = basename(name, extname(name)), file = join(folder, name);
    if (group === "skipped") continue;
    for (const test of extname(name) === ".tap" ? ofNode(file, group) : ofPython(file)) {
      const run = LONG.includes(group) ? "long" : "each";
      const key = [test.client, test.version, test.language, run].join(" ");
      if (!rows.has(key)) rows.set(key, { ...test, run, seen: {} });
      const { seen } = rows.get(key);
      seen[test.feature] = (seen[test.feature] ?? true) && test.passed;
    }
  }
  const cell = (seen) => (seen === undefined ? "" : seen ? "yes" : "no");
  return [...rows.values()]
    .map((row) =>
      line([row.client, row.version, row.language, ...FEATURES.map((f) => cell(row.seen[f])), row.run]),
    )
    .sort();
}

const line = (cells) => `|${cells.map((cell) => (cell ? ` ${cell} ` : " ")).join("|")}|`;
const head = [line(HEAD), `|${"---|".repeat(HEAD.length)}`];

const rows = rowsOf(reports);
if (rows.length > 0) console.log([...head, ...rows].join("\n"));
const text = readFileSync(readme, "utf8").split("\n");
const begin = text.indexOf(head[0]);
const count = text.slice(begin).findIndex((l) => !l.startsWith("|"));
if (action === "--write") {
  text.splice(begin, count, ...head, ...rows);
  writeFileSync(readme, text.join("\n"));
} else if (action === "--check") {
  const skipped = existsSync(join(reports, "skipped"));
  const long = rows.some((row) => row.endsWith("| long |"));
  const committed = text.slice(begin + head.length, begin + count);
  const missing = committed.filter((row) => !rows.includes(row) && (long || row.endsWith("| each |")));
  const wrong = [
    ...rows.filter((row) => !committed.includes(row)).map((row) => `not in it: ${row}`),
    ...(skipped ? [] : missing).map((row) => `not seen:  ${row}`),
  ];
  for (const row of wrong) console.log(row);
  if (wrong.length > 0) {
    console.log("README.md has another table. Where this one is right: tests/clients/run --table");
    process.exit(1);
  }
}
