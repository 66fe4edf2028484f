import { readFileSync, writeFileSync } from "node:fs";
import { Ajv } from "ajv";
import standalone from "ajv/dist/standalone/index.js";

type Schema = Readonly<Record<string, unknown>>;

const schemaFile = new URL("../schema.json", import.meta.url);
/** Committed, so that neither a daemon nor a checkout needs a compiler to run; a test holds it to what `compileSchema` makes. */
export const compiledFile = new URL("../shape/schema-check.generated.ts", import.meta.url);

const forPeople: ReadonlySet<string> = new Set(["$schema", "title", "description", "default", "examples"]);

/** `schema.json` as a module: the schema without what only people read, and the function that ajv makes of it. */
export function compileSchema(): string {
  const schema = withDefinitions(JSON.parse(readFileSync(schemaFile, "utf8")));
  const ajv = new Ajv({
    strict: true,
    allErrors: true,
    messages: false,
    inlineRefs: false,
    allowUnionTypes: true, // Text, or an object: the keywords of each are about values of its type alone.
    unicode: false, // Lengths are only compared with 1, so no code for surrogate pairs is needed.
    logger: false,
    code: { source: true, esm: true },
  });
  const code = inLinearTime(standalone.default(ajv, ajv.compile(schema)))
    .replace('"use strict";', "")
    .replaceAll(";function ", ";\nfunction ");
  return `// @ts-nocheck
// Made of schema.json by "node pkg/config/testing/compile-schema.ts"; not to be edited.
export const schema = ${JSON.stringify(schema)} as const;
${code.replace(/export default \w+;/, "")}
`;
}

/** ajv copies all errors so far for each part that has some: a text with many took time by their square. */
function inLinearTime(code: string): string {
  return code.replaceAll(
    /vErrors = vErrors === null \? (\w+)\.errors : vErrors\.concat\(\1\.errors\)/g,
    "if(vErrors === null)vErrors = $1.errors;else for(const error of $1.errors)vErrors.push(error)",
  );
}

/** With a definition of its own for each object: a function for each instead of one large one, which takes a third of the memory. */
function withDefinitions(schema: Schema): Schema {
  const definitions: Record<string, unknown> = {};
  const place = (name: string, value: Schema): Schema => {
    const found = stripped(value, name, place);
    if (found.type !== "object") return found;
    definitions[name] = found;
    return { $ref: `#/definitions/${name}` };
  };
  for (const [name, value] of Object.entries(schema.definitions as Schema)) place(name, value as Schema);
  const { definitions: _, ...root } = schema;
  return { ...stripped(root, "", place), definitions };
}

function stripped(schema: Schema, name: string, place: (name: string, value: Schema) => Schema): Schema {
  const kept: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (forPeople.has(keyword)) continue;
    if (keyword === "properties")
      kept.properties = Object.fromEntries(
        Object.entries(value as Schema).map(([field, type]) => [
          field,
          place(name === "" ? field : `${name}-${field}`, type as Schema),
        ]),
      );
    else if (keyword === "items" || (keyword === "additionalProperties" && value !== false))
      kept[keyword] = place(`${name}-item`, value as Schema);
    else kept[keyword] = value;
  }
  return kept;
}

if (import.meta.main) writeFileSync(compiledFile, compileSchema());
