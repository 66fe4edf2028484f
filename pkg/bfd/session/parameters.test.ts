import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import { parseAddress } from "#pkg/net";
import { parametersOf } from "./session.ts";

function profile(fields: string) {
  return parseConfig(`bfd-profiles: [{name: p${fields}}]`).config?.bfdProfiles.get("p") ?? assert.fail("no profile");
}

test("a profile's fields are the session's, and without them MetalLB's defaults", () => {
  const ends = { peer: parseAddress("192.0.2.1") ?? assert.fail(), multihop: false };
  assert.deepEqual(parametersOf(profile(""), ends), {
    transmitMs: 300,
    receiveMs: 300,
    echoingReceiveMs: 1000,
    multiplier: 3,
    passive: false,
    echoMs: undefined,
    echoReceiveMs: 50,
  });
  const fields =
    ", transmit-interval: 50, receive-interval: 60, detect-multiplier: 5, passive-mode: true, echo-mode: true, echo-interval: 70";
  assert.deepEqual(parametersOf(profile(fields), ends), {
    transmitMs: 50,
    receiveMs: 60,
    echoingReceiveMs: 60,
    multiplier: 5,
    passive: true,
    echoMs: 70,
    echoReceiveMs: 70,
  });
});

for (const { name, peer, multihop, want } of [
  { name: "are used between neighbors", peer: "2001:db8::1", multihop: false, want: [50, 50] },
  {
    name: "are not sent over routers, where their interval is advertised as FRR does",
    peer: "2001:db8::1",
    multihop: true,
    want: [undefined, 50],
  },
  {
    name: "are not used between link-local addresses, which nobody forwards",
    peer: "fe80::1",
    multihop: false,
    want: [undefined, 0],
  },
])
  test(`echoes ${name}`, () => {
    const ends = { peer: parseAddress(peer) ?? assert.fail(), multihop };
    const { echoMs, echoReceiveMs } = parametersOf(profile(", echo-mode: true"), ends);
    assert.deepEqual([echoMs, echoReceiveMs], want);
  });
