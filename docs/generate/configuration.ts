/** The part of JSON Schema that the configuration's schema uses. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly string[];
  readonly examples?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly definitions?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
}

const ownField = "MetalLB refuses a configuration with this field.";

/** Markdown: a section with a table of fields for each kind of object in the configuration. */
export function configurationTables(schema: Schema): string {
  const sections: string[] = [];
  const { definitions = {} } = schema;
  describeObject("", schema, definitions, sections);
  for (const [name, definition] of Object.entries(definitions))
    describeObject(definitionTitle(name), definition, definitions, sections);
  return sections.join("\n");
}

function describeObject(path: string, schema: Schema, definitions: NonNullable<Schema["definitions"]>, sections: string[]): void {
  const title = path === "" ? "Top level" : `\`${path}\``;
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const definition = definitions[field.$ref?.replace("#/definitions/", "") ?? ""];
    const { text, mark } = describe(field.description ?? definition?.description ?? "");
    const fallback = schema.required?.includes(name) ? "required" : defaultText(field);
    return `| \`${name}\`${mark} | ${valueText(field, below(path, name, field))} | ${fallback} | ${text} |`;
  });
  sections.push(`### ${title}`, "", describe(schema.description ?? "").text, "");
  sections.push("| field | value | default | |", "|---|---|---|---|", ...rows, "");
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const inner = field.type === "array" ? field.items : field;
    if (inner?.properties !== undefined) describeObject(below(path, name, field), inner, definitions, sections);
  }
}

/** MetalLB's fields and Ingot's own are told apart by a mark instead of by a sentence in each row. */
function describe(description: string): { text: string; mark: string } {
  const isOwn = description.endsWith(ownField);
  const text = (isOwn ? description.slice(0, -ownField.length) : description).trim().replaceAll("|", "\\|");
  return { text, mark: isOwn ? " †" : "" };
}

/** Where the objects are that a field holds. */
function below(path: string, name: string, field: Schema): string {
  return `${path === "" ? "" : `${path}.`}${name}${field.type === "array" ? "[]" : ""}`;
}

/** `path`: where the value is described if it is an object. */
function valueText(schema: Schema, path: string): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace("#/definitions/", "");
    return `[${name}](#${anchor(definitionTitle(name))})`;
  }
  if (schema.anyOf !== undefined) return schema.anyOf.map((each) => valueText(each, path)).join(", ");
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(", ");
  const { type } = schema;
  if (typeof type === "object") return type.map((each) => valueText({ ...schema, type: each }, path)).join(", or ");
  switch (type) {
    case "array":
      return `list of ${valueText(schema.items ?? {}, path)}`;
    case "object":
      return typeof schema.additionalProperties === "object"
        ? `map of name to ${valueText(schema.additionalProperties, path)}`
        : `[object](#${anchor(path)})`;
    case "integer":
      return `${schema.minimum}–${schema.maximum}`;
    case "boolean":
      return "`true`, `false`";
    case "string":
      return textValue(schema);
    default:
      throw new Error(`Cannot describe a value: its type is ${JSON.stringify(schema.type)}`);
  }
}

function textValue({ examples = [] }: Schema): string {
  return examples.length === 0 ? "text" : `text, e.g. ${examples.map((example) => `\`${example}\``).join(", ")}`;
}

function defaultText(schema: Schema): string {
  return schema.default === undefined ? "" : `\`${schema.default}\``;
}

function definitionTitle(name: string): string {
  return `${name}s[]`;
}

/** The anchor that GitHub makes from a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");
}
