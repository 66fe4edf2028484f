import { quote } from "#pkg/text";
import type { SecretKey } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawSecretKey } from "../shape/raw.ts";

const name = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/; // RFC 1123, as Kubernetes names Secrets.

/** Reads which value of which Secret is meant. */
export function readSecretKey(fields: RawSecretKey, defaultKey: string, at: Place): SecretKey {
  const secret = { name: fields.name ?? "", key: fields.key || defaultKey };
  if (fields.name !== undefined && (fields.name.length > 253 || !name.test(fields.name)))
    at.in("name").error(`no Secret is named ${quote(fields.name)}: at most 253 of a-z, 0-9, "-" and "."`);
  if (!/^[-._A-Za-z0-9]{1,253}$/.test(secret.key))
    at.in("key").error(`no Secret has a key ${quote(secret.key)}: at most 253 letters, digits, "-", "_" or "."`);
  return secret;
}
