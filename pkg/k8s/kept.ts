import { remembered } from "#pkg/collections";
import { fields, list } from "#pkg/untrusted";

// These keep little of the API's objects in memory: they cut values, share equal ones, and leave no room to spare in lists.

/** Each name of a node once, however many slices have it. */
const nodeNames = new Map<string, string>();
const maxNodeNames = 10_000;

export function shared(nodeName: string): string {
  return remembered(nodeNames, nodeName, maxNodeNames, () => nodeName);
}

// Most objects have no annotations of ours, and no selector: they share one empty value.
const noTexts: Readonly<Record<string, string>> = Object.freeze({});
const noItems: readonly never[] = Object.freeze([]);

export const maxShort = 1024;

/** Cut after 1 KiB, which no value needs that is of use: anybody may write up to 256 KiB into the annotations of a Service. */
export function short(value: string): string {
  return cut(value, maxShort);
}

export function cut(value: string, max: number): string {
  if (value.length <= max) return value;
  return Buffer.from(value.slice(0, max)).toString(); // A slice alone would keep the whole text in memory.
}

export function textMap(
  raw: unknown,
  wanted: (name: string) => boolean = () => true,
  keep: (value: string) => string = (value) => value,
): Readonly<Record<string, string>> {
  const map = fields(raw);
  const kept: [string, string][] = [];
  for (const name of Object.keys(map)) {
    const value = map[name]; // A Service may have 20,000 annotations, and `Object.entries` would make as many lists.
    if (typeof value === "string" && wanted(name)) kept.push([name, keep(value)]);
  }
  return kept.length === 0 ? noTexts : Object.fromEntries(kept);
}

export function texts(raw: unknown): readonly string[] {
  return compact(list(raw).filter((item): item is string => typeof item === "string" && item !== ""));
}

/** An array of exactly its size: a grown array keeps room for more, at 10,000 Services 30 % of all memory. */
export function compact<T>(items: readonly T[]): readonly T[] {
  return items.length === 0 ? noItems : items.slice();
}
