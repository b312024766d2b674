// Types: those of the contract are up to date, those of the package fit, and the code of the README compiles.
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
