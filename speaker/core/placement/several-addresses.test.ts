import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { elect } from "#pkg/placement";
import { annotations } from "#pkg/service";
import { Bench, nodes, pools } from "../../testing/speaker-bench.ts";
import { serviceView } from "../verdicts/address-verdict.ts";

const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 203.0.113.1}";
const two = pools(
  "{name: lan, protocol: layer2, addresses: [192.0.2.0/28, 'fd00::/124']}, {name: far, protocol: bgp, addresses: [198.51.100.0/28]}",
  router,
);
const several = { annotations: { [annotations.pool]: "lan,lan,far" } };
// Each of the first two is owned by another node.
const [one = "", other = ""] = Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`).filter(
  (ip, _, all) => ip === all[0] || elect(nodes, address(ip)) !== elect(nodes, address(all[0] ?? "")),
);
const far = "198.51.100.1";

function serving(node: string, ingress: string[], more = several): Bench {
  const bench = new Bench(node);
  bench.setConfig(two);
  bench.serve("default/web", ingress, more);
  bench.start();
  bench.settle();
  return bench;
}

test("each address of a Service with several has its own owner, and the pool and protocol of each count", () => {
  const benches = nodes.map((node) => serving(node, [one, other, far]));
  for (const ip of [one, other])
    assert.deepEqual(
      benches.filter(({ onWire }) => onWire.includes(ip)).map(({ state }) => state.node),
      [elect(nodes, address(ip))],
    );
  for (const bench of benches) assert.deepEqual([...bench.routes.keys()], [far]);
  const owner = benches.find(({ state }) => state.node === elect(nodes, address(one)));
  assert.deepEqual(owner?.state.status.announcements.get("default/web"), [
    { protocol: "layer2", pool: "lan", addresses: [one] },
    { protocol: "bgp", pool: "far", addresses: [far] },
  ]);
  const verdicts = serviceView(owner?.state ?? assert.fail(), "default/web", new Map())?.addresses.map(
    ({ verdict }) => verdict.cause,
  );
  assert.deepEqual(verdicts, ["announced", "notOwner", "noSession"]);
});

test("the event names the addresses that a node announces of several", () => {
  const events: string[] = [];
  for (const node of nodes) {
    const bench = new Bench(node);
    bench.setConfig(two);
    bench.runner.start(bench.state, (effect) => {
      if (effect.type === "recordEvent") events.push(effect.message);
    });
    bench.serve("default/web", [one, other, far], several);
    bench.start();
    for (let i = 0; i < 5; i++) bench.proceed();
  }
  const wanted = [one, other].map((ip) => `announcing ${ip} from node "${elect(nodes, address(ip))}"`);
  assert.deepEqual(events.sort(), wanted.sort());
});

test("of each pool the first address of one family goes with the first of the other, the second with the second", () => {
  const ingress = [one, other, "fd00::1", "fd00::2"];
  const owners = new Map<string, string>();
  for (const node of nodes) for (const ip of serving(node, ingress).onWire) owners.set(ip, node);
  assert.equal(owners.get("fd00::1"), owners.get(one));
  assert.equal(owners.get("fd00::2"), owners.get(other));
});

test("a Service that asks for one pool has what is of the first address's pool announced, and no more", () => {
  const plain = { annotations: { [annotations.pool]: "lan" } };
  const bench = serving(elect(nodes, address(one)) ?? "", [one, far], plain);
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[one], []]);
  bench.serve("default/web", [one, far], { ...several, resourceVersion: "2" });
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[one], [far]]);
});
