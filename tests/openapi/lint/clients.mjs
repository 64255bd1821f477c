// Generates a TypeScript client from the API's description and checks that each request body compiles with its required
// properties alone: what the API lets out, a client may leave out.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import openapiTS, { astToString } from "openapi-typescript";

const description = JSON.parse(readFileSync("../../../api/testdata/openapi.golden.json", "utf8"));
const folder = "node_modules/.clients";
mkdirSync(folder, { recursive: true });
writeFileSync(`${folder}/lari.d.ts`, astToString(await openapiTS(structuredClone(description))));

const lines = [`import type { operations } from "./lari";`, `declare const any: any;`];
for (const path of Object.values(description.paths)) {
  for (const operation of Object.values(path)) {
    const schema = operation.requestBody?.content?.["application/json"]?.schema;
    if (!schema) continue;
    const body = schema.$ref ? description.components.schemas[schema.$ref.split("/").pop()] : schema;
    const fields = (body.required ?? []).map((name) => `${JSON.stringify(name)}: any`).join(", ");
    const type = `NonNullable<operations["${operation.operationId}"]["requestBody"]>["content"]["application/json"]`;
    lines.push(`export const ${operation.operationId}: ${type} = {${fields}};`);
  }
}
if (lines.length < 20) throw new Error(`only ${lines.length} lines of request bodies: the description has changed its form`);
writeFileSync(`${folder}/bodies.ts`, lines.join("\n") + "\n");

const tsc = spawnSync("./node_modules/.bin/tsc", ["--noEmit", "--strict", "--skipLibCheck", "false", `${folder}/bodies.ts`], { encoding: "utf8" });
if (tsc.status !== 0) {
  process.stderr.write(`a TypeScript client of the description demands too much, or does not compile:\n${tsc.stdout}${tsc.stderr}`);
  process.exit(1);
}
