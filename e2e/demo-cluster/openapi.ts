import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { load } from "js-yaml";

interface Document {
  readonly paths: Readonly<Record<string, object>>;
}

const file = new URL("../../docs/openapi.yaml", import.meta.url);
const document = load(readFileSync(file, "utf8")) as Document;
// The document is of OpenAPI; only what its references lead to are schemas.
const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  formats: { "date-time": (text: string) => !Number.isNaN(Date.parse(text)) },
});
ajv.addSchema({ ...document, $id: "openapi" });

/** Every path that docs/openapi.yaml describes. */
export const describedPaths: readonly string[] = Object.keys(document.paths);

/** Holds an answer with status 200 against docs/openapi.yaml. @param path with or without a query */
export function assertDescribed(path: string, body: string): void {
  const [name = ""] = path.split("?");
  const pointer = `openapi#/paths/${name.replaceAll("/", "~1")}/get/responses/200/content/application~1json/schema`;
  const validate = ajv.getSchema(pointer);
  assert.ok(validate, `docs/openapi.yaml does not describe ${name}`);
  if (!validate(JSON.parse(body))) assert.fail(`${path} is not as docs/openapi.yaml says: ${ajv.errorsText(validate.errors)}`);
}
