import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type Host, waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { address, type FrrProgram, InterfaceNetwork, pool, type RouterKind, v4, v6 } from "./interface-network.ts";

interface Case {
  readonly heading: string;
  readonly programs?: readonly FrrProgram[];
  readonly router: RouterKind;
  readonly prefixes: readonly string[];
  readonly fields?: string;
  /** For BIRD: the routes of the table in place of the addresses. */
  readonly fromTable?: boolean;
  /** By how many nodes the router leads there; all three unless said otherwise. */
  readonly nextHops?: number;
}

const both = [v4, v6];
const route = ", carrier: route";
// Each by the configuration that docs/interface-pools.md has under this heading.
const cases: Case[] = [
  { heading: "FRR: OSPF and OSPFv3", programs: ["ospfd", "ospf6d"], router: "ospf", prefixes: both },
  { heading: "FRR: IS-IS", programs: ["isisd"], router: "isis", prefixes: both },
  { heading: "FRR: RIP", programs: ["ripd"], router: "rip", prefixes: [v4] },
  { heading: "FRR: BGP", programs: ["bgpd"], router: "bgp", prefixes: [v4] },
  { heading: "FRR: carrier route, OSPF", programs: ["ospfd"], router: "ospf", prefixes: [v4], fields: route },
  { heading: "FRR: carrier route, BGP", programs: ["bgpd"], router: "bgp", prefixes: [v4], fields: route },
  { heading: "BIRD: OSPF and OSPFv3", router: "ospf", prefixes: both },
  { heading: "BIRD: RIP", router: "rip", prefixes: [v4] },
  { heading: "BIRD: Babel", router: "babel", prefixes: both, nextHops: 1 },
  { heading: "BIRD: BGP", router: "bgp", prefixes: [v4] },
  { heading: "BIRD: OSPF and OSPFv3", router: "ospf", prefixes: both, fields: route, fromTable: true },
  { heading: "BIRD: RIP", router: "rip", prefixes: [v4], fields: route, fromTable: true },
  { heading: "BIRD: Babel", router: "babel", prefixes: both, nextHops: 1, fields: route, fromTable: true },
  { heading: "BIRD: BGP", router: "bgp", prefixes: [v4], fields: route, fromTable: true },
];

/** What the daemons announce is on the node in a way that it sends nothing from it: IPv4 with scope host, IPv6 with preferred lifetime 0. */
async function assertNeverSource(host: Host): Promise<void> {
  const shown: { addr_info: { local: string; scope: string; preferred_life_time: number }[] }[] = JSON.parse(
    await host.output(["ip", "-json", "address", "show", "dev", "kube-lb0"]),
  );
  const found = shown.flatMap(({ addr_info: all }) => all);
  assert.equal(found.find(({ local }) => `${local}/32` === v4)?.scope, "host");
  assert.equal(found.find(({ local }) => `${local}/128` === v6)?.preferred_life_time, 0);
}

suite("routing daemons announce what is in the nodes' kernels", { skip: await routerRefusal("frr", "bird") }, () => {
  let network: InterfaceNetwork;

  before(async () => {
    network = await InterfaceNetwork.start();
    const annotations = { "metallb.io/loadBalancerIPs": `${address},2001:db8:5::7` };
    const options = { families: ["IPv4", "IPv6"], annotations } as const;
    const service = await network.cluster.expose("web", ["node1", "node2", "node3"], options);
    await waitFor("two addresses", async () => (await service.addresses()).length === 2);
  });
  after(() => network[Symbol.asyncDispose]());

  for (const { heading, programs, router, prefixes, fields, fromTable = false, nextHops = 3 } of cases)
    test(`${heading}${fromTable ? ", carrier route" : ""}`, async () => {
      for (const prefix of both) await network.spreadOver(prefix, 0); // Nothing is left of the daemons before.
      await network.cluster.configure(pool(fields));
      await network.startDaemons(heading, router, { programs, fromTable });
      try {
        for (const prefix of prefixes) await network.spreadOver(prefix, nextHops);
        if (fields === undefined) for (const { host } of network.cluster.nodes) await assertNeverSource(host);
        const answers = new Set<string>();
        for (let i = 0; i < 20; i++) answers.add((await network.client.get(`http://${address}/`)).body);
        assert.ok(answers.size >= Math.min(2, nextHops), [...answers].join());
      } finally {
        await network.stopDaemons();
      }
    });
});
