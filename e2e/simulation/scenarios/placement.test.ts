import assert from "node:assert/strict";
import { test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { World } from "./world.ts";

const configuration = `address-pools:
- name: steady
  protocol: layer2
  l2-placement: sticky
  addresses: [172.30.0.150-172.30.0.179, fd00:30::150-fd00:30::179]
`;
const nodes = [0, 1, 2];
const names = ["a", "b", "c", "d", "e", "f"];

test("sticky addresses go from a speaker that is killed, and not back to it", async () => {
  const world = await World.start(configuration, { nodes: nodes.length });
  const { cluster } = world;
  const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" };
  /** The node that alone announces both addresses of a Service. */
  const owner = async (name: string): Promise<number> => {
    const owners = () => world.addresses(name).flatMap((address) => cluster.owners().get(address)?.join() ?? "");
    await world.until(() => assert.match(owners().join(" "), /^(\d) \1$/));
    return Number(owners()[0]);
  };
  const before: number[] = [];
  for (const name of names) {
    world.expose(name, nodes, { spec });
    before.push(await owner(name)); // Before the next, which then goes to a node that all know to have less.
  }
  for (const node of nodes) assert.equal(before.filter((each) => each === node).length, 2, `a third of six are at ${node}`);
  const victim = before[0] ?? -1;
  cluster.killSpeaker(victim);
  await world.until(() =>
    assert.ok(
      !cluster
        .owners()
        .values()
        .some((each) => each.includes(victim) || each.length !== 1),
    ),
  );
  // Two nodes may take over an address at once; then one of them gives it away some seconds later.
  await cluster.pass(10_000);
  const after = await Promise.all(names.map(owner));
  assert.ok(!after.includes(victim));
  for (const [index, node] of before.entries()) if (node !== victim) assert.equal(after[index], node, "it did not move");
  cluster.startSpeaker(victim);
  await world.until(() => assert.ok(cluster.speakers.get(victim)?.isReady));
  await cluster.pass(3_000);
  assert.deepEqual(await Promise.all(names.map(owner)), after);
});
