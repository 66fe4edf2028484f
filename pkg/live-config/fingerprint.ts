import { createHash } from "node:crypto";
import type { Config } from "#pkg/config";

/**
 * Sixteen hexadecimal digits, the same for configurations that say the same. Passwords are left out, so that nobody can try some
 * by it.
 */
export function fingerprint(config: Config): string {
  const known = made.get(config);
  if (known !== undefined) return known;
  const hash = createHash("sha256").update(JSON.stringify(config, plain)).digest("hex").slice(0, 16);
  made.set(config, hash);
  return hash;
}

/** It is asked for again and again, and with 10,000 pools it takes 20 ms. */
const made = new WeakMap<Config, string>(); // A configuration never changes.

function plain(key: string, value: unknown): unknown {
  if (key === "password") return undefined;
  if (typeof value === "bigint") return value.toString();
  return value instanceof Map ? [...value] : value;
}
