import { schema, validate } from "./schema-check.generated.ts";

export type TypeName = "object" | "array" | "string" | "integer" | "boolean";

/** The part of JSON Schema (draft 7) that `schema.json` uses, each keyword for values of one type; `readShape` knows no other. */
export interface FieldSchema {
  /** Absent from a schema with `anyOf`. With several types, each keyword is about values of one of them. */
  readonly type?: TypeName | readonly TypeName[];
  /** A number or one of some words, one of some words or a list of them. At most one of them is an `array`. */
  readonly anyOf?: readonly FieldSchema[];
  readonly properties?: Readonly<Record<string, SchemaOrReference>>; // field -> its schema
  readonly additionalProperties?: false | SchemaOrReference;
  readonly required?: readonly string[];
  readonly items?: SchemaOrReference;
  readonly minItems?: number;
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

type SchemaOrReference = FieldSchema | { readonly $ref: string };

/** The schema of the whole configuration: the shapes, types and ranges; rules between fields are code. */
export const rootSchema = schema as FieldSchema;
const definitions = schema.definitions as Readonly<Record<string, FieldSchema>>;

/** The schema of a field, or of a key that maps may have; undefined if the schema has no such name. */
export function fieldSchema({ properties = {}, additionalProperties }: FieldSchema, name: string): FieldSchema | undefined {
  const found = Object.hasOwn(properties, name) ? properties[name] : additionalProperties || undefined;
  return found && resolved(found);
}

/** Whether the value may be of this type. */
export function takes({ type }: FieldSchema, wanted: TypeName): boolean {
  return typeof type === "object" ? type.includes(wanted) : type === wanted;
}

/** The schema of a list's items; undefined where it takes no list. */
export function itemSchema(schema: FieldSchema): FieldSchema | undefined {
  const { items } = schema.anyOf?.find(({ type }) => type === "array") ?? schema;
  return items && resolved(items);
}

function resolved(found: SchemaOrReference): FieldSchema {
  const target = "$ref" in found ? definitions[found.$ref.replace("#/definitions/", "")] : found;
  if (target === undefined) throw new Error(`Cannot read schema: no definition for ${JSON.stringify(found)}`);
  return target;
}

/** A value that does not fit, as ajv has it. */
export interface Misfit {
  /** A JSON pointer (RFC 6901). */
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: { readonly missingProperty?: string; readonly additionalProperty?: string };
}

/** Everything that does not fit the schema, in the schema's order. */
export function misfits(instance: unknown): readonly Misfit[] {
  const check: { (value: unknown): boolean; errors?: readonly Misfit[] | null } = validate;
  const found = check(instance) ? [] : (check.errors ?? []);
  check.errors = null; // There may be very many, and ajv would keep them.
  return found;
}
