import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "./limits.ts";
import { nearestName, Problems } from "./problems.ts";
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

test("problems that are not listed are not put into words", () => {
  const problems = new Problems();
  let made = 0;
  for (let i = 0; i < 100_000; i++)
    problems.errorAt(100_000 - i, [], () => {
      made++;
      return `problem ${i}`;
    });
  const listed = problems.list((offset) => ({ line: 1, column: offset }));
  assert.deepEqual([listed.length, made], [limits.problems, limits.problems - 1]);
  assert.deepEqual(
    [listed[0]?.column, listed.at(-2)?.column, listed.at(-1)?.message],
    [1, 99, "99901 more problems are not listed"],
  );
});
