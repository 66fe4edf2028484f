import { setImmediate } from "node:timers/promises";
import { escapeControls } from "#pkg/text";
import type { Route } from "./server.ts";

// Some 2 ms of work.
const piecesAtOnce = 2_000;

let last: Promise<unknown> = Promise.resolve();

/**
 * An answer for people and programs alike: JSON, indented, with control characters escaped. It is made in slices, one answer after another,
 * however many are asked for. An iterable is a list, whose items are asked for as they are due; one that is undefined was looked at and is
 * left out.
 */
export function json(value: unknown): Promise<Route> {
  const made = last.then(() => render(value));
  last = made.catch(() => {});
  return made;
}

async function render(value: unknown): Promise<Route> {
  const slices: string[] = [];
  let slice = "";
  let pieces = 0;
  for (const piece of print(value, "\n")) {
    slice += piece;
    if (++pieces % piecesAtOnce !== 0) continue;
    slices.push(slice);
    slice = "";
    await setImmediate();
  }
  return { status: 200, contentType: "application/json", body: `${slices.join("")}${slice}\n` };
}

/** As `JSON.stringify` does. @param line what begins a line of the value */
function* print(value: unknown, line: string): Generator<string, void> {
  const plain = hasToJson(value) ? value.toJSON() : value;
  if (typeof plain !== "object" || plain === null) {
    yield text(plain);
    return;
  }
  const inner = `${line}  `;
  let separator = "";
  if (isIterable(plain)) {
    yield "[";
    for (const item of plain) {
      if (item === undefined) {
        yield "";
        continue;
      }
      yield `${separator}${inner}`;
      yield* print(item, inner);
      separator = ",";
    }
    yield separator === "" ? "]" : `${line}]`;
    return;
  }
  yield "{";
  for (const [key, item] of Object.entries(plain)) {
    if (item === undefined) continue;
    yield `${separator}${inner}${text(key)}: `;
    yield* print(item, inner);
    separator = ",";
  }
  yield separator === "" ? "}" : `${line}}`;
}

function text(value: unknown): string {
  return escapeControls(JSON.stringify(value) ?? "null");
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function";
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
