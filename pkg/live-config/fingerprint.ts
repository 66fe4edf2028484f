import { createHash } from "node:crypto";
import { atOnce, type Portions } from "#pkg/clock";
import type { Config, ParsedConfig } from "#pkg/config";
import { Address, Prefix } from "#pkg/net";

// Some milliseconds: what a configuration says has up to 150,000 values.
const valuesAtOnce = 5_000;

/**
 * Sixteen hexadecimal digits, the same for configurations that say the same. Passwords are left out, so that nobody can try some
 * by it.
 */
export function fingerprint(config: Config): string {
  return atOnce(fingerprinting(config));
}

/** The same in steps, for some thousand values each. It is asked for again and again, and with 10,000 pools it takes 20 ms. */
export function* fingerprinting(config: Config): Generator<undefined, string> {
  const known = made.get(config);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  let values = 0;
  let waiting = "";
  for (const piece of jsonOf(config)) {
    waiting += piece;
    if (++values % valuesAtOnce !== 0) continue;
    hash.update(waiting);
    waiting = "";
    yield;
  }
  const found = hash.update(waiting).digest("hex").slice(0, 16);
  made.set(config, found);
  return found;
}

/** The version of a text that has none in the API: the same for equal texts. */
export function textVersion(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Reads a text, and prepares in portions what its configuration needs once it is in force. */
export function readCandidate(
  text: string,
  reader: { read(text: string, done: (parsed: ParsedConfig) => void): void },
  portions: Pick<Portions, "do">,
  done: (parsed: ParsedConfig) => void,
): void {
  reader.read(text, (parsed) => {
    const steps = parsed.config && fingerprinting(parsed.config);
    const portion = (): void => {
      if (steps === undefined || steps.next().done) done(parsed);
      else portions.do(portion);
    };
    portion();
  });
}

const made = new WeakMap<Config, string>(); // A configuration never changes.

/** What `JSON.stringify` says of it, a value in each piece at most. */
function* jsonOf(value: unknown): Generator<string, void> {
  const plain = plainOf(value);
  if (typeof plain !== "object" || plain === null) {
    yield JSON.stringify(plain) ?? "null";
    return;
  }
  const isList = Array.isArray(plain);
  let before = isList ? "[" : "{";
  for (const [key, each] of isList ? plain.entries() : Object.entries(plain)) {
    if (!isList && (each === undefined || key === "password")) continue;
    yield isList ? before : `${before}${JSON.stringify(key)}:`;
    yield* jsonOf(each);
    before = ",";
  }
  const isEmpty = before !== ",";
  yield `${isEmpty ? before : ""}${isList ? "]" : "}"}`;
}

function plainOf(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) return [...value];
  return value instanceof Address || value instanceof Prefix ? value.toJSON() : value;
}
