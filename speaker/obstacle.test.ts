import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "#pkg/net";
import { describeObstacle, type Obstacle } from "./obstacle.ts";

const address = parseAddress("192.0.2.1");
assert.ok(address);
const placement = { address, pool: "lan" };
const nodes = ["a", "b", "c", "d", "e", "f", "g"];
const cases: { name: string; obstacle: Obstacle; policy: "Cluster" | "Local"; want: string }[] = [
  {
    name: "all are excluded; of many the first are named",
    obstacle: { announced: false, reason: "nodeExcluded", nodes },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: each that could has the label " +
      "node.kubernetes.io/exclude-from-external-load-balancers (a, b, c, d, e, 2 more); remove it from one of them, or give the " +
      "speakers --ignore-exclude-lb",
  },
  {
    name: "none is selected",
    obstacle: { announced: false, reason: "noNodeSelected" },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's node-selectors match none that has a running speaker; change them " +
      "or the labels of nodes",
  },
  {
    name: "none is selected that has an endpoint, as Local wants",
    obstacle: { announced: false, reason: "noNodeSelected" },
    policy: "Local",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's node-selectors match none that has a running speaker and, for " +
      "externalTrafficPolicy Local, a ready endpoint; change them or the labels of nodes",
  },
];
for (const { name, obstacle, policy, want } of cases)
  test(`describeObstacle: ${name}`, () => assert.equal(describeObstacle(placement, obstacle, policy), want));
