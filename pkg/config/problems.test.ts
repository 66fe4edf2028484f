import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestName } from "./problems.ts";
import { schema } from "./shape/schema-check.generated.ts";

const peer = Object.keys(schema.definitions["peers-item"].properties);
const cases: [wrong: string, want: string | undefined][] = [
  ["bfdProfile", "bfd-profile"],
  ["bfdprofile", "bfd-profile"],
  ["PEER-ASN", "peer-asn"],
  ["peer_address", "peer-address"],
  ["peeraddres", "peer-address"],
  ["hold-timer", "hold-time"],
  ["nodeSelector", "node-selectors"],
  ["passwrd", "password"],
  ["ebgpMultiHop", "ebgp-multihop"],
  ["", undefined],
  ["x", undefined],
  ["weight", undefined],
  ["p".repeat(1000), undefined],
];
for (const [wrong, want] of cases)
  test(`nearestName: ${JSON.stringify(wrong.slice(0, 20))} means ${want ?? "none of a peer's fields"}`, () =>
    assert.equal(nearestName(wrong, peer), want));
