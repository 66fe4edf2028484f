import { createHash } from "node:crypto";
import { atOnce } from "#pkg/clock";
import type { Config } from "#pkg/config";

const itemsAtOnce = 200;

/**
 * Sixteen hexadecimal digits, the same for configurations that say the same. Passwords are left out, so that nobody can try some
 * by it.
 */
export function fingerprint(config: Config): string {
  return atOnce(fingerprinting(config));
}

/** The same in steps, for some hundred pools each. It is asked for again and again, and with 10,000 pools it takes 20 ms. */
export function* fingerprinting(config: Config): Generator<undefined, string> {
  const known = made.get(config);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for (const text of jsonOf(config)) {
    hash.update(text);
    if (text.endsWith(",")) yield;
  }
  const found = hash.digest("hex").slice(0, 16);
  made.set(config, found);
  return found;
}

const made = new WeakMap<Config, string>(); // A configuration never changes.

/** What `JSON.stringify` says of it, in pieces; those that end with a comma are long. */
function* jsonOf(config: Config): Generator<string, void> {
  let before = "{";
  for (const [key, value] of Object.entries(config)) {
    const name = `${before}${JSON.stringify(key)}:`;
    if (Array.isArray(value)) {
      yield `${name}[`;
      yield* itemsOf(value);
      yield "]";
    } else {
      const text = JSON.stringify(value, plain);
      if (text === undefined) continue;
      yield `${name}${text}`;
    }
    before = ",";
  }
  yield before === "{" ? "{}" : "}";
}

function* itemsOf(items: readonly unknown[]): Generator<string, void> {
  for (let from = 0; from < items.length; from += itemsAtOnce) {
    const list = JSON.stringify(items.slice(from, from + itemsAtOnce), plain).slice(1, -1);
    yield from + itemsAtOnce < items.length ? `${list},` : list;
  }
}

function plain(key: string, value: unknown): unknown {
  if (key === "password") return undefined;
  if (typeof value === "bigint") return value.toString();
  return value instanceof Map ? [...value] : value;
}
