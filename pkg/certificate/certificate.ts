import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { bitString, boolean, context, integer, objectId, octetString, sequence, set, time, utf8String } from "./der.ts";

/** Both in PEM. */
export interface Certificate {
  readonly certificate: string;
  /** PKCS #8. */
  readonly key: string;
}

export interface CertificateOptions {
  /** DNS names of the server, at least one; the first is the subject's common name, of 64 characters at most. */
  readonly names: readonly [string, ...string[]];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** 16 octets of chance. */
  readonly serial: Uint8Array;
}

const oid = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;
const dnsName = 2; // Tag of GeneralName (RFC 5280, section 4.2.1.6).
const digitalSignature = Uint8Array.of(0x80); // The first bit (section 4.2.1.3).

/** Makes a key and signs a certificate for it with itself. */
export function selfSigned({ names, notBefore, notAfter, serial }: CertificateOptions): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(objectId(oid.ecdsaWithSha256));
  const name = sequence(set(sequence(objectId(oid.commonName), utf8String(names[0].slice(0, 64)))));
  const content = sequence(
    context(0, integer(Uint8Array.of(2))), // Version 3.
    integer(positive(serial)),
    algorithm,
    name,
    sequence(time(notBefore), time(notAfter)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    context(3, sequence(...extensions(names))),
  );
  const signature = sign("sha256", content, privateKey);
  return {
    certificate: pem("CERTIFICATE", sequence(content, algorithm, bitString(0, signature))),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function extensions(names: readonly string[]): Uint8Array[] {
  const extension = (id: string, value: Uint8Array, isCritical = false) =>
    sequence(objectId(id), ...(isCritical ? [boolean(true)] : []), octetString(value));
  return [
    extension(oid.basicConstraints, sequence(), true), // No authority.
    extension(oid.keyUsage, bitString(7, digitalSignature), true),
    extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth))),
    extension(oid.subjectAltName, sequence(...names.map((name) => context(dnsName, Buffer.from(name, "ascii"), "primitive")))),
  ];
}

/** Section 4.1.2.2: a positive number of 20 octets at most. */
function positive(serial: Uint8Array): Uint8Array {
  const [first = 0, ...rest] = serial;
  return Uint8Array.of((first & 0x7f) | 0x40, ...rest);
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/**
 * Whether it has to be replaced: it ends within `ms` after `now`, is not valid yet, is for other names, or is no pair of certificate and key.
 */
export function expiresWithin({ certificate, key }: Certificate, names: readonly string[], now: Date, ms: number): boolean {
  try {
    const read = new X509Certificate(certificate);
    if (!read.checkPrivateKey(createPrivateKey(key))) return true;
    if (!names.every((name) => read.checkHost(name) !== undefined)) return true;
    return read.validFromDate > now || read.validToDate.getTime() - now.getTime() < ms;
  } catch {
    return true;
  }
}
