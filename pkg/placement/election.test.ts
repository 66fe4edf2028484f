import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { Address } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type Election, elect, electFor, inheritOwner, isOwner, ownerOf } from "./election.ts";

/** As MetalLB's speakers do: all digests, sorted as bytes. */
function naive(contenders: readonly string[], ip: Address): string | undefined {
  const digest = (node: string) => createHash("sha256").update(`${node}#${ip}`).digest();
  return contenders.toSorted((a, b) => Buffer.compare(digest(a), digest(b)))[0];
}

const letters = ["a", "b", "c", "d", "e", "f", "ä#1"];
const contenders = fc.array(fc.constantFrom(...letters), { maxLength: 8 });
const addresses = fc.constantFrom(...["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"].map(address));

test("property: a node knows of each election whether it won, and any owner when asked, as if all digests were sorted, whoever came and went", () => {
  const elections = fc.array(fc.tuple(contenders, addresses, fc.boolean()), { maxLength: 6 });
  fc.assert(
    fc.property(fc.constantFrom(...letters), elections, fc.boolean(), (node, drawn, isWholeFirst) => {
      let before: Election | undefined;
      for (const [among, electionAddress, isAsked] of drawn) {
        const owner = naive(among, electionAddress);
        assert.equal(elect(among, electionAddress, before), owner);
        const isWhole = before === undefined && isWholeFirst; // The ring was small.
        const now: Election = {
          contenders: among,
          electionAddress,
          ...(isWhole ? { owner } : electFor(node, among, electionAddress, before)),
        };
        if (!isWhole) {
          assert.equal(now.owner, owner === node ? node : undefined);
          assert.equal(now.rival === undefined, owner === undefined || owner === node);
        }
        if (before !== undefined) inheritOwner(now, before);
        if (isAsked) assert.equal(ownerOf(now), owner);
        for (const each of [...letters, "none"]) assert.equal(isOwner(each, now), each === owner);
        before = now;
      }
    }),
  );
});
