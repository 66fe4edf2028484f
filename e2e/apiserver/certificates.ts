import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import {
  bitString,
  boolean,
  context,
  integer,
  objectId,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from "#pkg/certificate/testing";
import { parseAddress } from "#pkg/net";

/** A certificate and its private key, both in PEM. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

interface Name {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

const oid = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAltName: "2.5.29.17",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

const signedWith = sequence(objectId(oid.ecdsaWithSha256));
const validForMilliseconds = 365 * 24 * 3600 * 1000;
const clockSkewMilliseconds = 3600 * 1000;

/** A certificate authority of its own, alive as long as the process; P-256 keys, valid for a year (RFC 5280). */
export class CertificateAuthority {
  readonly #name: Name = { commonName: "apiserver-ca", organizations: [] };
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #now: Date;
  /** Its own certificate, in PEM. */
  readonly certificate: string;

  constructor(now: Date) {
    this.#now = now;
    const extensions = [
      extension(oid.basicConstraints, sequence(boolean(true)), "critical"),
      extension(oid.keyUsage, bitString(1, Uint8Array.of(0b0000_0110)), "critical"), // keyCertSign, cRLSign
    ];
    this.certificate = this.#issue(this.#name, this.#keys.publicKey, extensions);
  }

  /** For a server that is reached under these host names and addresses. */
  issueServer(hosts: readonly string[]): Credential {
    const names = hosts.map((host) => {
      const address = parseAddress(host);
      return address === undefined
        ? context(2, new TextEncoder().encode(host), "primitive")
        : context(7, address.toBytes(), "primitive");
    });
    return this.#credential({ commonName: "kube-apiserver", organizations: [] }, [
      extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth))),
      extension(oid.subjectAltName, sequence(...names)),
    ]);
  }

  /** For a client: Kubernetes takes the common name as the user and the organizations as the groups. */
  issueClient(user: string, groups: readonly string[]): Credential {
    return this.#credential({ commonName: user, organizations: groups }, [
      extension(oid.extendedKeyUsage, sequence(objectId(oid.clientAuth))),
    ]);
  }

  #credential(subject: Name, extensions: readonly Uint8Array[]): Credential {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const digitalSignature = extension(oid.keyUsage, bitString(7, Uint8Array.of(0b1000_0000)), "critical");
    return {
      certificate: this.#issue(subject, createPublicKey(privateKey), [digitalSignature, ...extensions]),
      key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
  }

  #issue(subject: Name, publicKey: KeyObject, extensions: readonly Uint8Array[]): string {
    const notBefore = new Date(this.#now.getTime() - clockSkewMilliseconds);
    const notAfter = new Date(this.#now.getTime() + validForMilliseconds);
    const body = sequence(
      context(0, integer(Uint8Array.of(2))), // Version 3.
      integer(randomBytes(16)),
      signedWith,
      distinguishedName(this.#name),
      sequence(time(notBefore), time(notAfter)),
      distinguishedName(subject),
      publicKey.export({ type: "spki", format: "der" }),
      context(3, sequence(...extensions)),
    );
    const certificate = sequence(body, signedWith, bitString(0, sign("sha256", body, this.#keys.privateKey)));
    const lines =
      Buffer.from(certificate)
        .toString("base64")
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
  }
}

function distinguishedName({ commonName, organizations }: Name): Uint8Array {
  const attribute = (type: string, value: string): Uint8Array => set(sequence(objectId(type), utf8String(value)));
  const groups = organizations.map((name) => attribute(oid.organization, name));
  return sequence(...groups, attribute(oid.commonName, commonName));
}

function extension(type: string, value: Uint8Array, critical?: "critical"): Uint8Array {
  return sequence(objectId(type), ...(critical === undefined ? [] : [boolean(true)]), octetString(value));
}
