// Write src/openapi.ts from the contract of the HTTP API or, with --check, fail if it is not up to date.
import { readFile, writeFile } from "node:fs/promises";

import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const contract = new URL("../../../infra/openapi.yaml", import.meta.url);
const target = new URL("../src/openapi.ts", import.meta.url);

const version = /^ {2}version: (\S+)$/m.exec(await readFile(contract, "utf8"))?.[1];
if (version === undefined) throw new Error(`${contract.pathname} does not say its version`);
const string = ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword);
// Where a string has a choice of patterns, each of them would be unknown.
const transform = ({ type, anyOf }) => (type === "string" && anyOf ? string : undefined);
const types = await openapiTS(contract, { emptyObjectsUnknown: true, silent: true, transform });

const text = `// Generated from infra/openapi.yaml by \`npm run generate\`. Do not edit.

/** The version of the contract that this client was made for. */
export const CONTRACT_VERSION: string = ${JSON.stringify(version)};

${astToString(types)}`;

if (!process.argv.includes("--check")) {
  await writeFile(target, text);
} else if ((await readFile(target, "utf8")) !== text) {
  console.error("src/openapi.ts is not what infra/openapi.yaml makes: run `npm run generate`");
  process.exitCode = 1;
}
