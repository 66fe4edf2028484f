import type { Peer, SecretKey } from "./config.ts";
import { type Path, quote } from "./problem.ts";
import type { RawPeer, RawSecretKey } from "./raw.ts";
import type { Report } from "./report.ts";

const passwordOctets = 80; // TCP_MD5SIG_MAXKEYLEN of Linux.

/** Reads `password` and `password-secret` of a peer. */
export function readPassword(fields: RawPeer, path: Path, report: Report): Pick<Peer, "password" | "passwordSecret"> {
  const password = fields.password || undefined;
  const octets = password === undefined ? 0 : new TextEncoder().encode(password).length;
  if (octets > passwordOctets) report.error([...path, "password"], `must be at most ${passwordOctets} octets, but is ${octets}`);
  const secret = fields["password-secret"];
  const secretPath = [...path, "password-secret"];
  if (secret !== undefined && password !== undefined)
    report.errorAtKey(secretPath, "not together with password: which of both would it be?");
  return { password, passwordSecret: secret && readSecretKey(secret, secretPath, report) };
}

const name = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/; // RFC 1123, as Kubernetes names Secrets.

function readSecretKey(fields: RawSecretKey, path: Path, report: Report): SecretKey {
  const secret = { name: fields.name ?? "", key: fields.key || "password" };
  if (fields.name !== undefined && (fields.name.length > 253 || !name.test(fields.name)))
    report.error([...path, "name"], `no Secret is named ${quote(fields.name)}: at most 253 of a-z, 0-9, "-" and "."`);
  if (!/^[-._A-Za-z0-9]{1,253}$/.test(secret.key))
    report.error([...path, "key"], `no Secret has a key ${quote(secret.key)}: at most 253 letters, digits, "-", "_" or "."`);
  return secret;
}
