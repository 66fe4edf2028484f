import type { Prefix } from "#pkg/net";
import type { Nlri } from "../codec/prefixes.ts";

/** A prefix, or one of several paths to it, and the number that it has for all peers. */
export interface NumberedNlri extends Nlri {
  readonly number: number;
  /** The entry of the prefix, for a path. */
  readonly whole: NumberedNlri | undefined;
  /** The entries of paths, by path identifier, for a prefix that has some. */
  paths: Map<number, NumberedNlri> | undefined;
  /** How many peers use it. */
  users: number;
}

/**
 * The prefixes that any peer has, each under a small number, so that a peer keeps arrays in place of a table of its own: hundreds of tables
 * that have the same prefixes grow at the same prefix. Numbers that no peer uses are given again.
 */
export class NlriTable {
  readonly #prefixes = new Map<string, NumberedNlri>(); // prefix -> its entry
  readonly #entries: (NumberedNlri | undefined)[] = []; // By number.
  readonly #free: number[] = [];

  get(prefix: Prefix): NumberedNlri | undefined {
    return this.#prefixes.get(prefix.toString());
  }

  at(number: number): NumberedNlri | undefined {
    return this.#entries[number];
  }

  /** To be used at once, and released. */
  of(prefix: Prefix): NumberedNlri {
    const key = prefix.toString();
    let entry = this.#prefixes.get(key);
    if (entry === undefined) {
      entry = this.#add(prefix, 0, undefined);
      this.#prefixes.set(key, entry);
    }
    return entry;
  }

  /** The same of a path to a prefix. */
  pathOf(whole: NumberedNlri, path: number): NumberedNlri {
    whole.paths ??= new Map();
    let entry = whole.paths.get(path);
    if (entry === undefined) {
      entry = this.#add(whole.prefix, path, whole);
      whole.paths.set(path, entry);
    }
    return entry;
  }

  /** A peer no longer uses it. */
  release(entry: NumberedNlri): void {
    entry.users--;
    this.#forgetUnused(entry);
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.length - this.#free.length;
  }

  #add(prefix: Prefix, path: number, whole: NumberedNlri | undefined): NumberedNlri {
    const number = this.#free.pop() ?? this.#entries.length;
    const entry = { prefix, path, number, whole, paths: undefined, users: 0 };
    this.#entries[number] = entry;
    return entry;
  }

  #forgetUnused({ prefix, path, number, whole, paths, users }: NumberedNlri): void {
    if (users > 0 || (paths !== undefined && paths.size > 0)) return;
    this.#entries[number] = undefined;
    this.#free.push(number);
    if (whole === undefined) this.#prefixes.delete(prefix.toString());
    else {
      whole.paths?.delete(path);
      this.#forgetUnused(whole);
    }
  }
}
