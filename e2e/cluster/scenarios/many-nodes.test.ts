// Nightly: two processors take minutes to start so many nodes.
import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { InstalledCluster } from "./installed.ts";

const nodes = 10;
const large = steps(async () => {
  const on = await InstalledCluster.start({ nodes });
  await on.deploy(3);
  await on.install();
  return on;
});

large(`on ${nodes} nodes each of twelve addresses has one owner, and several nodes have some`, async (on) => {
  const owners = new Set<string>();
  for (let count = 1; count <= 12; count++) {
    const address = await on.serve(`web${count}`);
    owners.add(await waitFor(`an owner of ${address}`, () => on.owner(address), patience));
  }
  assert.ok(owners.size >= 3, `owners: ${[...owners].join()}`);
});

large(`when one of ${nodes} nodes dies, the others have its addresses, and it gets them back`, async (on) => {
  const addresses = await on.addresses();
  const before = await ownersOf(on, addresses);
  const [name = "", node = ""] = Object.entries(before)[0] ?? [];
  await on.cluster.node(node).powerOff();
  await on.ownerOtherThan(node, String(addresses[name]));
  const others = Object.fromEntries(Object.entries(addresses).filter(([each]) => before[each] !== node));
  const areThere = async () => {
    const during = await ownersOf(on, others);
    for (const [each, owner] of Object.entries(during)) assert.equal(owner, before[each], "it has no reason to move");
    return true;
  };
  await waitFor("the other addresses where they were", areThere, patience);
  await on.cluster.node(node).powerOn();
  const isBack = async () => assert.deepEqual(await ownersOf(on, addresses), before) === undefined;
  await waitFor("the owners as before", isBack, patience);
  assert.deepEqual(await on.addresses(), addresses);
});

async function ownersOf(on: InstalledCluster, addresses: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const owners: Record<string, string> = {};
  for (const [name, address] of Object.entries(addresses)) owners[name] = await on.owner(address);
  return owners;
}
