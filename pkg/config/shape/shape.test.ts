import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv } from "ajv";
import fc from "fast-check";
import { Problems } from "../problems.ts";
import schema from "../schema.json" with { type: "json" };
import { compiledFile, compileSchema } from "../testing/compile-schema.ts";
import { parseYaml } from "../yaml/tree.ts";
import { type FieldSchema, fieldSchema, itemSchema, rootSchema, takes } from "./schema.ts";
import { readShape } from "./shape.ts";

// Strict: it also refuses a schema with keywords that it does not know, or that make no sense for the type.
const validate = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema);

/** Values for a place in the configuration that mostly fit, and otherwise are beyond a bound or of another type. */
function values(schema: FieldSchema): fc.Arbitrary<unknown> {
  const alternatives = schema.anyOf ?? [schema];
  const has = (type: "string" | "integer") => alternatives.some((one) => takes(one, type));
  const isText = has("string") && !has("integer"); // Whatever is written there is text.
  const other = fc.constantFrom<unknown>({}, [], { name: "x" }, ["x"], ...(isText ? [] : ["x", "", 7, 1e300, true]));
  return fc.oneof({ arbitrary: fitting(schema), weight: 12 }, { arbitrary: other, weight: 1 });
}

function fitting(schema: FieldSchema): fc.Arbitrary<unknown> {
  const { minimum = 0, maximum = 0, properties = {}, additionalProperties } = schema;
  const items = itemSchema(schema);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(fitting));
  const { type } = schema;
  if (typeof type === "object") return fc.oneof(...type.map((each) => fitting({ ...schema, type: each })));
  switch (type) {
    case "object": {
      const field = (name: string) => values(fieldSchema(schema, name) as FieldSchema);
      const fields = Object.keys(properties).map((name) => [name, field(name)] as const);
      const known = fc.record(Object.fromEntries(fields), { requiredKeys: [] });
      const rest = additionalProperties ? field("x") : fc.constant(1);
      const others = fc.dictionary(fc.constantFrom("x", "names", "__proto__", "a/b~c", "toString"), rest, { maxKeys: 2 });
      return fc
        .tuple(known, fc.oneof({ weight: 5, arbitrary: fc.constant({}) }, others))
        .map((parts) => Object.fromEntries(parts.flatMap(Object.entries)));
    }
    case "array":
      return fc.array(items === undefined ? fc.constant("x") : values(items), { maxLength: 2 });
    case "string":
      return fc.constantFrom("", "x", "😀", ...(schema.enum ?? []));
    case "integer":
      return fc.constantFrom(minimum, maximum, minimum - 1, maximum + 1);
    case "boolean":
      return fc.boolean();
  }
  throw new Error("Cannot make values: the schema has neither a type nor alternatives");
}

test("the compiled schema is that of schema.json", () => {
  assert.equal(readFileSync(compiledFile, "utf8"), compileSchema(), 'run "node pkg/config/testing/compile-schema.ts"');
});

test("the compiled schema takes time in proportion to the problems that it finds", () => {
  assert.doesNotMatch(compileSchema(), /vErrors\.concat/, "each part would copy the problems of all before it");
});

/** Path in the form of `formatPath`. */
function pathOf(error: { instancePath: string; params: Record<string, unknown> }): string {
  const last = error.params.missingProperty ?? error.params.additionalProperty;
  const steps = error.instancePath.split("/").slice(1);
  const names = steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return JSON.stringify([...names, ...(last === undefined ? [] : [String(last)])]);
}

/** Without those that say that a list does not fit the alternatives to a list, where something in it does not fit. */
function ofTheListAlone<E extends { instancePath: string; keyword: string }>(errors: readonly E[]): E[] {
  const choices = new Set(errors.filter(({ keyword }) => keyword === "anyOf").map(({ instancePath }) => instancePath));
  const isWithin = (path: string) => errors.some(({ instancePath }) => instancePath.startsWith(`${path}/`));
  return errors.filter(({ instancePath }) => !choices.has(instancePath) || !isWithin(instancePath));
}

test("what does not fit is what a validator of JSON Schema says does not, at the same paths", () => {
  const documents = fitting(rootSchema);
  fc.assert(
    fc.property(documents, (document) => {
      const found: string[] = [];
      const problems = new Problems();
      const [root] = parseYaml(JSON.stringify(document), problems) ?? [];
      assert.ok(root);
      problems.read(root);
      problems.error = problems.errorAtKey = (path) => void found.push(JSON.stringify(path.map(String)));
      readShape(root, problems);
      validate(document);
      assert.deepEqual(new Set(found), new Set(ofTheListAlone(validate.errors ?? []).map(pathOf)));
    }),
    { numRuns: 500 },
  );
});
