import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { CertificateAuthority } from "./certificates.ts";

const now = new Date("2026-03-01T12:00:00Z");

test("a server's certificate is signed by the authority and names its hosts and addresses", () => {
  const authority = new CertificateAuthority(now);
  const ca = new X509Certificate(authority.certificate);
  const server = new X509Certificate(authority.issueServer(["localhost", "192.0.2.1", "2001:db8::1"]).certificate);
  assert.ok(ca.ca);
  assert.ok(ca.verify(ca.publicKey));
  assert.ok(server.verify(ca.publicKey));
  assert.ok(server.checkIssued(ca));
  assert.equal(server.checkHost("localhost"), "localhost");
  assert.equal(server.checkIP("192.0.2.1"), "192.0.2.1");
  assert.equal(server.checkIP("2001:db8::1"), "2001:db8::1");
  assert.equal(server.checkIP("192.0.2.2"), undefined);
  assert.equal(server.validFrom, "Mar  1 11:00:00 2026 GMT");
  assert.equal(server.validTo, "Mar  1 12:00:00 2027 GMT");
});

test("a client's certificate carries user and groups, and fits its key", () => {
  const authority = new CertificateAuthority(now);
  const { certificate, key } = authority.issueClient("admin", ["system:masters", "dévs"]);
  const client = new X509Certificate(certificate);
  assert.equal(client.subject, "O=system:masters\nO=dévs\nCN=admin");
  assert.deepEqual(client.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  assert.ok(key.includes("BEGIN PRIVATE KEY"));
});

test("another authority's certificates are not its own", () => {
  const certificate = new X509Certificate(new CertificateAuthority(now).issueClient("admin", []).certificate);
  const other = new X509Certificate(new CertificateAuthority(now).certificate);
  assert.equal(certificate.verify(other.publicKey), false);
});
