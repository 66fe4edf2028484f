import { setImmediate } from "node:timers/promises";
import { SerialQueue } from "#pkg/queue";
import { escapeControls } from "#pkg/text";
import type { Asked, Handler, Route } from "./server.ts";

// Some 2 ms of work, by the length of what is printed; each piece counts for some characters more, one that is left out too.
const charactersAtOnce = 80_000;
const charactersOfPiece = 40;

// Different answers that wait. Who asks for an answer that waits already has that one.
const maxWaiting = 64;

const making = new SerialQueue();
let waiting = 0;

/**
 * Answers for people and programs alike: JSON, indented, with control characters escaped. It is made in slices, one answer after another,
 * however many are asked for, each for all who have asked the same until it is begun. An iterable is a list, whose items are asked for as they are due;
 * one that is undefined was looked at and is left out.
 * @param value may be promised; depends on the query, and on nothing else of what is asked
 */
export function json(value: (asked: Asked) => unknown): Handler {
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
  const slices: Buffer[] = []; // As one text they would take 10 ms for each 5 MB.
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

/** As `JSON.stringify` does. @param line what begins a line of the value */
function* print(value: unknown, line: string): Generator<string, void> {
  const plain = hasToJson(value) ? value.toJSON() : value;
  if (typeof plain !== "object" || plain === null || plain instanceof OneLine) {
    yield text(plain instanceof OneLine ? plain.value : plain);
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
