/** The value of a plain YAML 1.1 scalar. */
export type ScalarValue = null | boolean | number | string;

const words = new Map<string, ScalarValue>();
for (const word of ["", "~", "null", "Null", "NULL"]) words.set(word, null);
for (const word of ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"]) words.set(word, true);
for (const word of ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"]) words.set(word, false);
for (const word of [".nan", ".NaN", ".NAN"]) words.set(word, Number.NaN);
for (const word of [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"]) words.set(word, Number.POSITIVE_INFINITY);
for (const word of ["-.inf", "-.Inf", "-.INF"]) words.set(word, Number.NEGATIVE_INFINITY);

const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9]\d*))$/;
const float = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;

/**
 * Resolves a plain scalar as yaml.v2 does (YAML 1.1, https://yaml.org/type): `yes` and `on` are booleans, `010` is octal, `_`
 * inside a number is skipped. Unlike YAML 1.1, and like yaml.v2, base 60 (`1:30`) is text, `089` is 89, and dates stay text.
 */
export function resolveScalar(text: string): ScalarValue {
  const word = words.get(text);
  if (word !== undefined) return word;
  if (!/^[-+.\d]/.test(text)) return text;
  const digits = text.startsWith(".") ? text : text.replaceAll("_", "");
  const parts = integer.exec(digits);
  if (parts !== null) {
    const [, sign, hexadecimal, binary, octal, decimal] = parts;
    const size =
      hexadecimal !== undefined
        ? Number(`0x${hexadecimal}`)
        : binary !== undefined
          ? Number(`0b${binary}`)
          : octal !== undefined
            ? Number(`0o${octal}`)
            : Number(decimal);
    return sign === "-" ? -size : size;
  }
  if (!float.test(digits)) return text;
  const value = Number(digits);
  return Number.isFinite(value) ? value : text; // Too large for yaml.v2 too, which then keeps the text.
}

/** The value of a tagged scalar, or why its text does not fit the tag. Text for `!!str` and for tags of no known meaning, as in yaml.v2. */
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
