import assert from "node:assert/strict";
import { test } from "node:test";
import { sentence } from "#pkg/verdict";
import { placementProblem } from "./placement-warning.ts";

const pool = (name: string, subnet: boolean, sticky: boolean) => ({ name, l2Placement: { subnet, sticky } });
const all = [pool("hash", false, false), pool("subnet", true, false), pool("sticky", false, true), pool("both", true, true)];

for (const { name, pools, hasRing, withoutGossip, want } of [
  { name: "no ring, and nothing asked of it", pools: all.slice(0, 1), hasRing: false, withoutGossip: [], want: undefined },
  {
    name: "no ring",
    pools: all,
    hasRing: false,
    withoutGossip: [],
    want:
      "l2-placement of subnet, sticky, both is without effect: it needs the speakers' ring; give the speakers its key " +
      "(METALLB_ML_SECRET_KEY) and an address for it (METALLB_ML_BIND_ADDR), as the manifests do, or Helm's speaker.memberlist.enabled: true",
  },
  { name: "a ring of our own", pools: all, hasRing: true, withoutGossip: [], want: undefined },
  { name: "a mixed ring, and nothing stays", pools: all.slice(0, 2), hasRing: true, withoutGossip: ["n1"], want: undefined },
  {
    name: "a mixed ring",
    pools: all,
    hasRing: true,
    withoutGossip: ["n1", "n2", "n3", "n4", "n5", "n6", "n7"],
    want:
      "addresses of sticky, both may move whenever nodes come and go, although l2-placement is sticky: the speakers on n1, n2, n3, n4, n5, and 2 more " +
      "are not of this release, such as MetalLB's, and choose nodes by hash alone; replace these speakers by this release's, or take sticky out of l2-placement",
  },
])
  test(`placementProblem: ${name}`, () => {
    const problem = placementProblem(pools, hasRing, withoutGossip);
    assert.equal(problem && sentence(problem), want);
  });
