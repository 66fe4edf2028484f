import { asList, asNumber, asObject, asText, at, type Json } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Cell, Column } from "../resource.ts";

export function column(name: string, cell: Column["cell"], type: Column["type"] = "string"): Column {
  return { name, type, priority: 0, cell };
}

/** A column of `-o wide`. */
export function wide(name: string, cell: Column["cell"]): Column {
  return { name, type: "string", priority: 1, cell };
}

export const nameColumn = column("Name", ({ metadata }) => metadata.name);
export const ageColumn = column("Age", ({ metadata }, now) => since(metadata.creationTimestamp, now));

/** How long ago a time was, as kubectl has it; `<unknown>` without one. */
export function since(time: Json | undefined, now: Date): string {
  const then = Date.parse(asText(time));
  return Number.isNaN(then) ? "<unknown>" : age(Math.floor((now.getTime() - then) / 1000));
}

/** A duration with at most two units: `59s`, `2m5s`, `47m`, `5h3m`, `3d4h`, `20d`, `3y2d`. */
export function age(seconds: number): string {
  const total = Math.max(0, seconds);
  const minutes = Math.floor(total / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const years = Math.floor(days / 365);
  const pair = (large: number, unit: string, small: number, smallUnit: string): string =>
    `${large}${unit}${small === 0 ? "" : `${small}${smallUnit}`}`;
  if (total < 120) return `${total}s`;
  if (minutes < 10) return pair(minutes, "m", total % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (days < 8) return pair(days, "d", hours % 24, "h");
  if (days < 2 * 365) return `${days}d`;
  return years < 8 ? pair(years, "y", days % 365, "d") : `${years}y`;
}

/** `a=b,c=d`, or `<none>`. */
export function labelText(labels: Json | undefined): string {
  const pairs = Object.entries(asObject(labels)).map(([key, value]) => `${key}=${asText(value)}`);
  return pairs.length === 0 ? "<none>" : pairs.sort().join(",");
}

/** The texts at a field of each item, joined by commas. */
export function joined(items: Json | undefined, field: string): string {
  return asList(items)
    .map((item) => asText(at(item, field)))
    .join(",");
}

/** The number at a path, 0 when unset. */
export function count(object: KubeObject, ...path: readonly string[]): Cell {
  return asNumber(at(object, ...path)) ?? 0;
}

/** The first three and how many more there are; `<none>` for nothing. */
export function firstThree(texts: readonly string[], none: string): string {
  if (texts.length === 0) return none;
  return texts.length <= 3 ? texts.join(",") : `${texts.slice(0, 3).join(",")} + ${texts.length - 3} more...`;
}
