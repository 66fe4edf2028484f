import { setImmediate } from "node:timers/promises";
import { SerialQueue } from "#pkg/collections";
import { escapeControls } from "#pkg/text";
import type { Handler, Route, RouteRequest } from "./server.ts";

// Some 2 ms of work, measured by the length of the output; each piece counts for some characters more, also a piece that is left out.
const charactersAtOnce = 80_000;
const charactersOfPiece = 40;

// Limit of different answers that wait. Identical requests share one answer.
const maxWaiting = 64;

const making = new SerialQueue();
let waiting = 0;

/**
 * Answers for people and programs alike: JSON, indented, with control characters escaped. It is made in slices, one answer after another,
 * however many are asked for, each for all who have asked the same until it is begun. An iterable is a list, whose items are asked for as they are due;
 * one that is undefined was looked at and is left out.
 * @param value may be promised; depends on the query, and on nothing else of the request
 */
export function json(value: (asked: RouteRequest) => unknown): Handler {
  const next = new Map<string, Promise<Route>>(); // query -> its answer, which is not begun
  return async (asked) => {
    const query = asked.query.toString();
    const known = next.get(query);
    if (known !== undefined) return known;
    if (waiting >= maxWaiting) return { status: 503, contentType: "text/plain", body: "too many answers are being made\n" };
    waiting++;
    const begin = (): void => {
      waiting--;
      next.delete(query);
    };
    const made = (async () => await value(asked))().then(
      (found) =>
        making.run(() => {
          begin();
          return render(found);
        }),
      (error: unknown) => {
        begin();
        throw error;
      },
    );
    next.set(query, made);
    return made;
  };
}

async function render(value: unknown): Promise<Route> {
  const slices: Buffer[] = []; // Joined to one text they would take 10 ms for each 5 MB.
  let slice = "";
  let work = 0;
  for (const piece of print(value, "\n")) {
    slice += piece;
    work += charactersOfPiece + piece.length;
    if (work < charactersAtOnce) continue;
    slices.push(Buffer.from(slice));
    slice = "";
    work = 0;
    await setImmediate();
  }
  slices.push(Buffer.from(`${slice}\n`));
  return { status: 200, contentType: "application/json", body: slices };
}

/** A value that is printed without line breaks: long lists are made in a fraction of the time so. */
export class OneLine {
  readonly value: object;

  constructor(value: object) {
    this.value = value;
  }
}

/**
 * Prints any value, where it can like `JSON.stringify`: a value without a form in JSON is written as text. So one wrong row costs nobody
 * the others.
 * @param line what begins a line of the value @param around what the value is part of
 */
function* print(given: unknown, line: string, around: readonly unknown[] = []): Generator<string, void> {
  const value = plainOf(given);
  if (typeof value !== "object" || value === null || value instanceof OneLine) {
    yield value instanceof OneLine ? onOneLine(value.value) : text(value);
    return;
  }
  if (around.includes(value)) {
    yield text("(this again)");
    return;
  }
  const within = [...around, value];
  const inner = `${line}  `;
  let separator = "";
  if (isIterable(value)) {
    yield "[";
    for (const item of value) {
      if (item === undefined) {
        yield "";
        continue;
      }
      yield `${separator}${inner}`;
      yield* print(item, inner, within);
      separator = ",";
    }
    yield separator === "" ? "]" : `${line}]`;
    return;
  }
  yield "{";
  for (const key of Object.keys(value)) {
    const item = fieldOf(value, key);
    if (item === undefined) continue;
    yield `${separator}${inner}${text(key)}: `;
    yield* print(item, inner, within);
    separator = ",";
  }
  yield separator === "" ? "}" : `${line}}`;
}

function onOneLine(value: object): string {
  try {
    return text(value);
  } catch {
    return Array.from(print(value, "")).join("");
  }
}

function text(value: unknown): string {
  const plain = typeof value === "bigint" || typeof value === "symbol" ? String(value) : value;
  return escapeControls(JSON.stringify(plain) ?? "null");
}

function plainOf(value: unknown): unknown {
  try {
    return hasToJson(value) ? value.toJSON() : value;
  } catch (error) {
    return `(${error})`;
  }
}

function fieldOf(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key);
  } catch (error) {
    return `(${error})`;
  }
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function";
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
