import { Address, AddressRange, type Family, Prefix } from "#pkg/net";

/** Values that a message between threads may hold as they are, and in pieces of any size. */
export type Token = string | number | bigint | boolean | undefined;

const op = { token: 0, list: 1, map: 2, object: 3, known: 4, address: 5, range: 6, prefix: 7 } as const;

/**
 * Takes a parsed configuration apart, for another thread: a list of values, maps, plain objects, also without a prototype, addresses, ranges and prefixes as pieces
 * of tokens, none of them much longer than `length`. A structured clone would lose the classes, and has to be taken in one go.
 * @throws {TypeError} for a value of another kind
 */
export function* takeApart(value: unknown, length: number): Generator<Token[]> {
  const shapes = new Map<string, number>(); // keys of an object -> number
  let piece: Token[] = [];
  const waiting: unknown[] = [value]; // The next one is the last.
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== "object" || next === null) piece.push(op.token, tokenOf(next));
    else if (next instanceof Address) piece.push(op.address, next.family, next.value);
    else if (next instanceof Prefix) piece.push(op.prefix, next.family, next.address.value, next.length);
    else if (next instanceof AddressRange) piece.push(op.range, next.family, next.first.value, next.last.value);
    else if (Array.isArray(next)) {
      piece.push(op.list, next.length);
      for (let index = next.length - 1; index >= 0; index--) waiting.push(next[index]);
    } else if (next instanceof Map) {
      piece.push(op.map, next.size);
      for (const [key, each] of [...next].reverse()) waiting.push(each, key);
    } else {
      const prototype: unknown = Object.getPrototypeOf(next);
      if (prototype !== Object.prototype && prototype !== null) throw new TypeError(`Cannot take apart: ${next}`);
      const keys = Object.keys(next);
      const shape = keys.join("\0");
      const known = shapes.get(shape);
      if (known === undefined) {
        shapes.set(shape, shapes.size);
        piece.push(op.object, keys.length, ...keys);
      } else piece.push(op.known, known);
      for (const key of keys.reverse()) waiting.push((next as Record<string, unknown>)[key]);
    }
    if (piece.length < length) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}

function tokenOf(value: unknown): Token {
  const type = typeof value;
  if (value === undefined || type === "string" || type === "number" || type === "bigint" || type === "boolean")
    return value as Token;
  throw new TypeError(`Cannot take apart: ${value}`);
}

/** A list, a map or an object of which some is still to come. */
interface Open {
  readonly value: unknown[] | Map<unknown, unknown> | Record<string, unknown>;
  /** Keys of an object. */
  readonly keys: readonly string[];
  /** Values still to come: of a map, keys too. */
  left: number;
  /** Key of a map, whose value comes next. */
  key: unknown;
}

/** Puts a value together again, piece by piece. */
export class Assembly {
  readonly #open: Open[] = [];
  readonly #shapes: (readonly string[])[] = [];
  #value: unknown;

  /** @param piece the next one. @returns whether it was the last */
  add(piece: readonly Token[]): boolean {
    for (let at = 0; at < piece.length; ) {
      const [a, b, c] = [piece[at + 1], piece[at + 2], piece[at + 3]];
      switch (piece[at]) {
        case op.token:
          this.#put(a);
          at += 2;
          break;
        case op.address:
          this.#put(new Address(a as Family, b as bigint));
          at += 3;
          break;
        case op.range:
          this.#put(new AddressRange(new Address(a as Family, b as bigint), new Address(a as Family, c as bigint)));
          at += 4;
          break;
        case op.prefix:
          this.#put(new Prefix(new Address(a as Family, b as bigint), c as number));
          at += 4;
          break;
        case op.list:
          // An array of just its size: `push` would leave room for 16 more.
          this.#begin({ value: new Array(a as number), keys: [], left: a as number, key: undefined });
          at += 2;
          break;
        case op.map:
          this.#begin({ value: new Map(), keys: [], left: 2 * (a as number), key: undefined });
          at += 2;
          break;
        case op.object: {
          const keys = piece.slice(at + 2, at + 2 + (a as number)) as string[];
          this.#shapes.push(keys);
          this.#begin({ value: {}, keys, left: keys.length, key: undefined });
          at += 2 + keys.length;
          break;
        }
        case op.known: {
          const keys = this.#shapes[a as number] ?? [];
          this.#begin({ value: {}, keys, left: keys.length, key: undefined });
          at += 2;
          break;
        }
        default:
          throw new TypeError(`Cannot put together: ${String(piece[at])} at ${at}`);
      }
    }
    return this.#open.length === 0;
  }

  /** Whole after the last piece. */
  get value(): unknown {
    return this.#value;
  }

  #begin(open: Open): void {
    if (open.left === 0) this.#put(open.value);
    else this.#open.push(open);
  }

  #put(value: unknown): void {
    const open = this.#open.at(-1);
    if (open === undefined) {
      this.#value = value;
      return;
    }
    const { value: into, keys } = open;
    if (Array.isArray(into)) into[into.length - open.left] = value;
    else if (!(into instanceof Map)) into[keys[keys.length - open.left] as string] = value;
    else if (open.left % 2 === 0) open.key = value;
    else into.set(open.key, value);
    if (--open.left > 0) return;
    this.#open.pop();
    this.#put(into);
  }
}
