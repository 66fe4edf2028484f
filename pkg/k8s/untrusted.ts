/**
 * Reading values of unknown shape. The API server checks what it stores, but an aggregated or a broken one may send anything,
 * and one bad object must not take down the view of all others: what has the wrong type reads as absent.
 */
export type Fields = Readonly<Record<string, unknown>>;

const noFields: Fields = Object.freeze({});
const nothing: readonly unknown[] = Object.freeze([]);

export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : noFields;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : nothing;
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Undefined also for the empty text, which Kubernetes uses for unset. */
export function optionalText(value: unknown): string | undefined {
  return text(value) || undefined;
}

/** @returns undefined where the text is not JSON */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
