// The package: its types are up to date and fit, the code of the README compiles, and what is needed is packed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const run = async (...args) => {
  const { code = 0, stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd }).catch((error) => error);
  return { code, output: stdout + stderr };
};

test("the types of the contract are up to date", async () => {
  assert.deepEqual(await run("scripts/generate.js", "--check"), { code: 0, output: "" });
});

test("the types fit, also in the code of the README", async () => {
  const blocks = [...(await readFile(`${cwd}/README.md`, "utf8")).matchAll(/^```ts\n(.*?)^```$/gms)];
  assert.equal(blocks.length, 5);
  const folder = `${cwd}/test/readme`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await Promise.all(blocks.map(([, code], at) => writeFile(`${folder}/${at}.ts`, code)));
  const compiled = await run("node_modules/typescript/bin/tsc", "-p", "test");
  await rm(folder, { recursive: true });
  assert.deepEqual(compiled, { code: 0, output: "" });
});

test("the package has its licences, and no link or import that leads out of it", async () => {
  assert.deepEqual(await run("scripts/licences.js"), { code: 0, output: "" });
  // The scripts of the package would build it while other tests use it.
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd });
  const paths = JSON.parse(stdout)[0].files.map(({ path }) => path);
  for (const path of ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "dist/index.js", "dist/langgraph.d.ts"])
    assert.ok(paths.includes(path), path);
  assert.match(await readFile(`${cwd}/LICENSE-MIT`, "utf8"), /Permission is hereby granted/);
  assert.equal(paths.filter((path) => /^(src|test|scripts)\//.test(path)).length, 0);
  assert.doesNotMatch(await readFile(`${cwd}/README.md`, "utf8"), /\]\((?!#|https:)/);
  const modules = paths.filter((path) => path.endsWith(".js"));
  const sources = await Promise.all(modules.map((path) => readFile(`${cwd}/${path}`, "utf8")));
  for (const source of sources) assert.doesNotMatch(source, /from "node:|\bBuffer\b/);
});
