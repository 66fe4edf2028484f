import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "#e2e/lab";
import { type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn } from "./bgp-network.ts";
import { type Said, says } from "./observe.ts";

const routerAsn = 65010;
const samples = 40;
const everyMs = 500;

interface Mistake {
  readonly what: string;
  /** Fields of the router's neighbor, or no neighbor. */
  readonly router?: object | undefined;
  /** Fields of the peer, in place of the right ones. */
  readonly peer?: string;
  readonly cause: string;
  readonly says: RegExp;
}

const mistakes: readonly Mistake[] = [
  {
    what: "the peer-asn is not the router's",
    router: {},
    peer: `peer-asn: ${routerAsn + 1}`,
    cause: "notificationSent",
    says: /set peer-asn: 65010/,
  },
  {
    what: "the router has another AS number for the node",
    router: { asn: nodeAsn + 1 },
    cause: "notificationReceived",
    says: /remote-as 65001/,
  },
  {
    what: "only the router has a password",
    router: { password: "right" },
    cause: "connectTimeout",
    says: /that password and ttl-security are the same/,
  },
  {
    what: "only the peer has a password",
    router: {},
    peer: `peer-asn: ${routerAsn}, password: right`,
    cause: "connectTimeout",
    says: /password is configured/,
  },
  {
    what: "the router does not have the node as a neighbor",
    cause: "connectionLost",
    says: /make this node a neighbor on the router/,
  },
];

for (const kind of ["bird", "frr"] as const satisfies readonly RouterKind[])
  suite(`each mistake with a ${kind} router has one cause, which does not change while nothing does`, {
    skip: await routerRefusal(kind),
  }, () => {
    let network: BgpNetwork;
    const key = (index: number) => `172.30.0.${241 + index}:179`;
    before(async () => {
      network = await BgpNetwork.start({ nodes: 1, speakerArguments: ["--bgp-port=179"] });
      const [node] = network.cluster.nodes;
      assert.ok(node);
      const stranger = { address: "172.30.0.99", asn: nodeAsn };
      for (const [index, { router }] of mistakes.entries()) {
        const neighbor = router === undefined ? stranger : { address: node.addresses[0], asn: nodeAsn, ...router };
        await network.router(kind, index + 1, { asn: routerAsn, neighbors: [neighbor] });
      }
      const peers = mistakes.map(
        ({ peer = `peer-asn: ${routerAsn}` }, index) =>
          `- {my-asn: ${nodeAsn}, peer-address: 172.30.0.${241 + index}, ${peer}}\n`,
      );
      await network.cluster.configure(
        `peers:\n${peers.join("")}address-pools: [{name: main, protocol: bgp, addresses: [198.51.100.0/24]}]\n`,
      );
      await network.cluster.expose("web", ["node1"]);
    });
    after(() => network?.[Symbol.asyncDispose]());

    test("as long as one looks", async () => {
      const [node] = network.cluster.nodes;
      assert.ok(node);
      for (const [index, { what, cause, says: pattern }] of mistakes.entries()) {
        // A router that has just started may first end sessions for reasons of its own.
        await waitFor(`the verdict to tell that ${what}`, async () => {
          const said = await says(node.speaker, cause, "peer", key(index));
          assert.match(`${said.message}; ${said.next}`, pattern, what);
          return true;
        });
      }
      const seen = mistakes.map(() => new Set<string>());
      for (let sample = 0; sample < samples; sample++, await sleep(everyMs)) {
        const { verdicts } = JSON.parse((await node.speaker.get("/v1/verdicts")).body) as { verdicts: readonly Said[] };
        for (const [index, causes] of seen.entries())
          for (const one of verdicts.filter(({ kind, name }) => kind === "peer" && name === key(index))) causes.add(one.cause);
      }
      assert.deepEqual(
        seen.map((causes) => [...causes].join()),
        mistakes.map(({ cause }) => cause),
      );
    });
  });
