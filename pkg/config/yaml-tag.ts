import { resolveScalar, type ScalarValue } from "./yaml-scalar.ts";

/** What a tagged scalar stands for, or why its text does not fit the tag. Text for `!!str` and for tags of no known meaning, as in yaml.v2. */
export function resolveTagged(tag: string, text: string): { value: ScalarValue } | { problem: string } {
  const type = /^(?:!!|!<tag:yaml\.org,2002:)(null|bool|int|float|binary)>?$/.exec(tag)?.[1];
  if (type === undefined) return { value: text };
  if (type === "binary") {
    const value = decodeBase64(text);
    return value === undefined ? { problem: "the tag !!binary takes base64, but this is not" } : { value };
  }
  const value = resolveScalar(text);
  return matchesTag(value, type) ? { value } : { problem: `the value does not fit its tag !!${type}` };
}

function matchesTag(value: ScalarValue, type: string): boolean {
  if (value === null) return type === "null";
  if (typeof value === "boolean") return type === "bool";
  return typeof value === "number" && (type === "float" || (type === "int" && Number.isInteger(value)));
}

function decodeBase64(text: string): string | undefined {
  const digits = text.replaceAll(/[\r\n]/g, "");
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) return undefined;
  return new TextDecoder().decode(Uint8Array.from(atob(digits), (octet) => octet.charCodeAt(0)));
}
