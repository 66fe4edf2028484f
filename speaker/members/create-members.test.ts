import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLog } from "#pkg/log/testing";
import { createMembers, ringAddress, ringSecret, whyNoRing } from "./create-members.ts";

const own = ["127.0.0.1", "192.0.2.7", "2001:db8::7"];

const cases = [
  { name: "the address that was given, which the node has", given: "192.0.2.7", host: "", want: "192.0.2.7" },
  { name: "the node's where the Pod's is of before", given: "192.0.2.1", host: "192.0.2.7", want: "192.0.2.7" },
  { name: "the node's of IPv6 likewise", given: "2001:db8::1", host: "2001:db8::7", want: "2001:db8::7" },
  { name: "no address of another family", given: "2001:db8::1", host: "192.0.2.7", want: "2001:db8::1" },
  { name: "the one that was given where the node has neither", given: "192.0.2.1", host: "192.0.2.2", want: "192.0.2.1" },
  { name: "the one that was given where HTTP is served everywhere", given: "192.0.2.1", host: "", want: "192.0.2.1" },
];

for (const { name, given, host, want } of cases)
  test(`the ring's port is opened at ${name}`, () => {
    assert.equal(ringAddress({ "ml-bindaddr": given, host }, own, silentLog), want);
  });

test("the ring's key is the flag's, or that of the mounted Secret, and a file that cannot be read is no ring without a key", () => {
  const folder = mkdtempSync(join(tmpdir(), "ingot-ring-secret-"));
  try {
    const secret = (given: string, path: string) => ringSecret({ "ml-secret-key": given, "ml-secret-key-path": path });
    assert.equal(secret("", ""), "");
    assert.equal(secret("of the flag", folder), "of the flag");
    assert.throws(() => secret("", folder), /ENOENT.*secretkey/);
    writeFileSync(join(folder, "secretkey"), "of the file\n");
    assert.equal(secret("", folder), "of the file\n", "as it stands there, as MetalLB takes it");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("without labels of the speaker Pods there is no ring, as for MetalLB, and no Pod of another kind counts as a speaker", () => {
  const given = { "ml-secret-key": "key", "ml-secret-key-path": "", "ml-bindaddr": "192.0.2.7", "ml-labels": "a=b" };
  assert.equal(whyNoRing(given as never, undefined, silentLog), undefined);
  const values = { ...given, "ml-labels": "" };
  const noRing = whyNoRing(values as never, undefined, silentLog);
  assert.match(noRing ?? "", /--ml-labels/);
  const selectors: unknown[] = [];
  const informer = (_: unknown, { labelSelector }: { labelSelector: string }) => selectors.push(labelSelector);
  createMembers({ values, noRing, cluster: { informer }, namespace: "lb" } as never);
  assert.deepEqual(selectors, ["app=metallb,component=speaker"]);
});
