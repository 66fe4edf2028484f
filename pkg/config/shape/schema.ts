import schema from "../schema.json" with { type: "json" };

/** The part of JSON Schema (draft 7) that `schema.json` uses, each keyword for values of one type; `readShape` knows no other. */
export interface FieldSchema {
  readonly type: "object" | "array" | "string" | "integer" | "boolean";
  readonly properties?: Readonly<Record<string, FieldSchema>>; // field -> its schema
  readonly additionalProperties?: false | FieldSchema;
  readonly required?: readonly string[];
  readonly items?: FieldSchema;
  readonly minItems?: number;
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** The schema of the whole configuration: the shapes, types and ranges; rules between fields are code. Without references. */
export const configSchema: FieldSchema = JSON.parse(JSON.stringify(schema), (_key, value) =>
  value?.$ref === "#/definitions/node-selector" ? schema.definitions["node-selector"] : value,
);
