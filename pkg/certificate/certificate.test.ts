import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import fc from "fast-check";
import { expiresWithin, selfSigned } from "#pkg/certificate";

const day = 86_400_000;
const now = new Date("2026-03-01T12:00:00Z");
const names = ["ingot-webhook.metallb-system.svc", "ingot-webhook"] as const;
const serial = new Uint8Array(16).fill(0xff);
const make = (notBefore = new Date(now.getTime() - day), notAfter = new Date(now.getTime() + 90 * day)) =>
  selfSigned({ names, notBefore, notAfter, serial });

test("a certificate has the names, dates and use that were asked for, and is signed by its own key", () => {
  const { certificate } = make();
  const read = new X509Certificate(certificate);
  assert.equal(read.subject, `CN=${names[0]}`);
  assert.equal(read.subjectAltName, names.map((name) => `DNS:${name}`).join(", "));
  assert.deepEqual([read.validFromDate, read.validToDate], [new Date(now.getTime() - day), new Date(now.getTime() + 90 * day)]);
  assert.deepEqual([read.ca, read.keyUsage], [false, ["1.3.6.1.5.5.7.3.1"]]);
  assert.equal(read.serialNumber, `7F${"FF".repeat(15)}`);
  assert.ok(read.verify(read.publicKey));
});

test("dates from 2050 on, and any serial number, are readable", () => {
  const late = new Date("2051-06-07T08:09:10Z");
  assert.deepEqual(new X509Certificate(make(now, late).certificate).validToDate, late);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (random) => {
      const { certificate } = selfSigned({ names, notBefore: now, notAfter: late, serial: random });
      assert.match(new X509Certificate(certificate).serialNumber, /^[4-7][0-9A-F]{31}$/);
    }),
    { numRuns: 50 },
  );
});

test("a client that is given the certificate trusts the server, one that is given another does not", async () => {
  const { certificate, key } = make(new Date(Date.now() - day), new Date(Date.now() + day));
  const server = createServer({ cert: certificate, key }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const trusts = async (ca: string, servername: string = names[0]): Promise<boolean> => {
    const socket = connect({ host: "127.0.0.1", port, servername, ca });
    try {
      await once(socket, "secureConnect");
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  };
  assert.deepEqual(
    [await trusts(certificate), await trusts(make().certificate), await trusts(certificate, "other.metallb-system.svc")],
    [true, false, false],
  );
  server.close();
});

const pair = make();
const cases: { name: string; pair: { certificate: string; key: string }; at?: Date; of?: string[]; renew: boolean }[] = [
  { name: "one that lasts longer stays", pair, renew: false },
  { name: "one that ends soon is replaced", pair, at: new Date(now.getTime() + 61 * day), renew: true },
  { name: "one that is not valid yet is replaced", pair, at: new Date(now.getTime() - 2 * day), renew: true },
  { name: "one for another name is replaced", pair, of: ["ingot-webhook.other.svc"], renew: true },
  { name: "one with the key of another is replaced", pair: { ...pair, key: make().key }, renew: true },
  { name: "what is no certificate is replaced", pair: { certificate: "", key: "-----BEGIN" }, renew: true },
];
for (const { name, pair, at = now, of = [names[0]], renew } of cases)
  test(name, () => assert.equal(expiresWithin(pair, of, at, 30 * day), renew));
