import { generateKeyPairSync, sign } from "node:crypto";
import { bitString, context, integer, objectId, octetString, sequence, set, time, utf8String } from "#pkg/certificate/testing";

/** For tests: a certificate for 127.0.0.1 and `name` that vouches for itself (RFC 5280, section 4.1), and its key, both as PEM. */
export function selfSigned(name: string): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaWithSha256 = sequence(objectId("1.2.840.10045.4.3.2"));
  const entity = sequence(set(sequence(objectId("2.5.4.3"), utf8String(name)))); // commonName
  const [dns, address] = [context(2, Buffer.from(name), "primitive"), context(7, Uint8Array.of(127, 0, 0, 1), "primitive")];
  const certified = sequence(
    context(0, integer(Uint8Array.of(2))), // version 3
    integer(Uint8Array.of(1)),
    ecdsaWithSha256,
    entity,
    sequence(time(new Date("2020-01-01T00:00:00Z")), time(new Date("2049-12-31T23:59:59Z"))),
    entity,
    publicKey.export({ type: "spki", format: "der" }),
    context(3, sequence(sequence(objectId("2.5.29.17"), octetString(sequence(dns, address))))), // subjectAltName
  );
  const cert = sequence(certified, ecdsaWithSha256, bitString(0, sign("sha256", certified, privateKey)));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${Buffer.from(cert).toString("base64")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
