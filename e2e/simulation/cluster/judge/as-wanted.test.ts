import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { type PeerField, peerValues } from "../api/node-objects.ts";
import { keyOf, routerAddress, type ServiceSpec } from "../api/objects.ts";
import { movingSlice } from "../api/slices.ts";
import { routers } from "../draw-peers.ts";
import { withMore } from "../draw-surroundings.ts";
import { firstConfig, movedConfig, withNicPools } from "../history.ts";
import { AsWanted } from "./as-wanted.ts";
import { Scene, spec } from "./scene.ts";

const [, byRouter = String, , byAsn = String] = routers;

/** The judge's finding within so long. */
async function found(act: (scene: Scene) => void, seconds: number, config = firstConfig): Promise<string> {
  const scene = await Scene.atRest(config, new AsWanted());
  act(scene);
  await scene.pass(seconds * 1000);
  return scene.invariants.problem ?? "";
}

test("an address at a node that may not have it, as the API says, and one of no Service are found", async () => {
  const isLocal = ({ cluster: { people } }: Scene) => void people.services.set("a", { ...spec, isLocal: true, endpoints: [0] });
  assert.match(await found(isLocal, 9), /192\.0\.2\.\d is at node-1, of node-0 among node-0 and node-1, since/);
  const ofNone = (scene: Scene) => void scene.speaker(0).announced.add("192.0.2.9");
  assert.match(await found(ofNone, 9), /192\.0\.2\.9 of no Service is at node-0, since/);
});

test("an address that moves is found where nothing happened but that a node lost the API, and none where people move it", async () => {
  const moves = async (isDrained: boolean) => {
    const scene = await Scene.atRest(firstConfig, new AsWanted());
    const [address = ""] = scene.cluster.people.status("a");
    scene.speaker(1).connection.isCut = true;
    if (isDrained) scene.cluster.nodes.setDrained(1, true);
    await scene.pass(1_000);
    scene.cluster.moves.push({ at: scene.cluster.now, node: 1, address, on: false });
    await scene.pass(100);
    return scene.invariants.problem ?? "";
  };
  assert.match(await moves(false), /node-1 gives 192\.0\.2\.\d up, which it may have, although nothing happened since/);
  assert.equal(await moves(true), "");
});

test("where a configuration is refused the last good one is in force, not the one that was in place before while no controller ran", async () => {
  const edits = ({ cluster }: Scene) => {
    const { people, time, now } = cluster;
    people.setService("c", { ...spec, pool: "both" });
    const configure = (after: Millis, text: string) => time.schedule(now + after, () => people.setConfig(text, false));
    for (const index of [0, 1]) time.schedule(now + 2_000, () => cluster.killController(index));
    configure(2_100, firstConfig.replace("[layer2, bgp]", "layer2"));
    configure(9_000, firstConfig.replace("192.0.2.96/28", "192.0.2.104/29"));
  };
  assert.equal(await found(edits, 40), "");
});

test("a configuration that keeps an address in use out of use is refused, so that of before is in force", async () => {
  const edits = ({ cluster: { people, time, now } }: Scene) => {
    assert.deepEqual(people.status("a"), ["192.0.2.0"]);
    const withLine = (line: string) => firstConfig.replace("protocol: layer2\n", `$&  ${line}\n`);
    people.setConfig(withLine("interfaces: [eth9]"), false);
    time.schedule(now + 3_000, () => people.setConfig(withLine("avoid-buggy-ips: true"), false));
  };
  assert.equal(await found(edits, 40), "");
});

test("a node that has not seen a Service, because its watches ended and it does not know that yet, need not announce it", async () => {
  const cut = ({ cluster: { people, time, now, speakers } }: Scene) => {
    const at = (later: Millis, act: () => void) => time.schedule(now + later, act);
    const setCut = (isCut: boolean) => Object.assign(speakers.get(0)?.connection ?? {}, { isCut });
    setCut(true);
    at(700, () => people.setService("c", { ...spec, pool: "strict", isLocal: true, endpoints: [0] }));
    at(5_300, () => setCut(false));
  };
  assert.equal(await found(cut, 35), "");
});

test("a route through a node without the endpoints of a Local Service is found", async () => {
  const moved = ({ cluster: { people } }: Scene) =>
    void people.services.set("r", { ...spec, pool: "routed", isLocal: true, endpoints: [0] });
  assert.match(await found(moved, 21), /the router has a route to 198\.51\.100\.0\/32 through node-1, of 0 among 0,1, since/);
});

test("an address at a node with endpoints of the other family alone, or whose slice another Service has, is found", async () => {
  const local = { ...spec, isLocal: true };
  const change =
    (own: ServiceSpec, slice: string, to: JsonObject) =>
    ({ cluster: { people, api, time, now } }: Scene) => {
      people.setService("a", own);
      time.schedule(now + 5_000, () => api.patch("endpointslices", keyOf(slice), to));
    };
  const taken = { metadata: { labels: { "kubernetes.io/service-name": "b" } } };
  const moving = change({ ...local, layout: "moving" }, movingSlice, taken);
  assert.match(await found(moving, 15), /192\.0\.2\.\d is at node-0, of node-1 among node-0 and node-1, since/);
  const ofFamilies = change({ ...local, isDual: true, endpoints: [0], endpointsV6: [1] }, "a-v6", { endpoints: [] });
  assert.match(await found(ofFamilies, 15), /2001:db8::\d* is at node-0, of node-1 among node-0 and node-1, since/);
});

test("a Service that has not what it asks for is found while a controller runs, and not while none does", async () => {
  const asks = ({ cluster: { people } }: Scene) => void people.services.set("a", { ...spec, pool: "sticky" });
  assert.match(await found(asks, 41), /a asks for pool sticky and has 192\.0\.2\.\d, while controller-\d runs/);
  const alone = (scene: Scene) => {
    for (const one of [0, 1]) scene.cluster.killController(one);
    asks(scene);
  };
  assert.equal(await found(alone, 41), "");
});

test("nobody asks for addresses of a configuration that is refused, although people put it in place as soon as they allowed another one", async () => {
  const edits = ({ cluster: { people, time, now } }: Scene) => {
    people.setConfig(movedConfig, true);
    people.setService("a", { ...spec, wanted: "192.0.2.1" });
    time.schedule(now + 60, () => people.setConfig(firstConfig, false));
  };
  assert.equal(await found(edits, 50), "");
});

test("an address at a node whose NIC for it is unplugged is found", async () => {
  const unplug = ({ cluster: { machines, people, time, now } }: Scene) => {
    for (const node of [0, 1]) machines.setSecondNic(node, true);
    people.setService("a", { ...spec, pool: "second", isLocal: true, endpoints: [1] });
    const own = machines.otherNics.bind(machines);
    machines.otherNics = (node) => own(node).map((nic) => ({ ...nic, running: true }));
    time.schedule(now + 5_000, () => machines.setSecondCarrier(1, false));
  };
  assert.match(
    await found(unplug, 27, withNicPools(firstConfig)),
    /192\.0\.2\.17\d is at node-1, of nobody among node-0 and node-1, since/,
  );
});

/** Something that speakers do not hear of: the judge alone sees it in the API. */
const unheard: readonly {
  what: string;
  pool: string;
  router?: (config: string) => string;
  change: (scene: Scene) => void;
  message: RegExp;
}[] = [
  {
    what: "in the kernel of a node without a network",
    pool: "kernel",
    change: ({ cluster: { nodes } }) => Object.assign(nodes, { isExcluded: (node: number) => node === 0 }),
    message: /node-0 has 203\.0\.113\.32 in its kernel, since/,
  },
  {
    what: "at a node although no entry is for its namespace",
    pool: "team",
    change: ({ cluster: { people } }) => Object.defineProperty(people, "team", { value: "b" }),
    message: /192\.0\.2\.196 is at node-\d, of nobody among node-0 and node-1, since/,
  },
  {
    what: "at the router although no entry is for its namespace",
    pool: "teams",
    change: ({ cluster: { people } }) => Object.defineProperty(people, "team", { value: "b" }),
    message: /the router has a route to 198\.51\.100\.20\/32 through node-0, of {2}among 0,1, since/,
  },
  {
    what: "at the router through a node that names no router",
    pool: "routed",
    change: ({ cluster: { nodes } }) =>
      Object.assign(nodes, { peerValue: (node: number) => (node === 1 ? routerAddress : undefined) }),
    message: /the router has a route to 198\.51\.100\.\d\/32 through node-0, of 1 among 0,1, since/,
  },
  {
    what: "at the router by a session with another AS number than the node says",
    pool: "routed",
    router: byAsn,
    change: ({ cluster: { nodes } }) =>
      Object.assign(nodes, {
        peerValue: (node: number, field: PeerField) => (field === "my-asn" ? "65201" : peerValues[field].usual(node)),
      }),
    message: /the router has a session with node-0 as AS 65101 and 10\.255\.0\.1, of 65201 and 10\.255\.0\.1, since/,
  },
];

const ofRoutes: readonly { what: string; change: (scene: Scene) => void; message: RegExp }[] = [
  {
    what: "a community that no entry names",
    change: ({ cluster: { router } }) => {
      const own = router.pathsOf.bind(router);
      router.pathsOf = (name) => own(name).map((path) => ({ ...path, communities: [7] }));
    },
    message: /the route to 198\.51\.100\.\d\/32 through node-0 has .*\[7\].*, of /,
  },
  {
    what: "a session with another password",
    change: (scene) => {
      const speaker = scene.speaker(0);
      speaker.bgpSettings = speaker.bgpSettings && { ...speaker.bgpSettings, password: "other" };
    },
    message: /the router has a session with node-0 as one with \["other",null,null\], of \[null,null,null\], since/,
  },
];
for (const { what, change, message } of ofRoutes)
  test(`a route with ${what} is found`, async () => {
    assert.match(await found(change, 27), message);
  });

for (const { what, pool, router = byRouter, change, message } of unheard)
  test(`an address ${what} is found`, async () => {
    const act = (scene: Scene) => {
      scene.cluster.people.setService("a", { ...spec, pool });
      scene.cluster.time.schedule(scene.cluster.now + 5_000, () => change(scene));
    };
    assert.match(await found(act, 27, router(withMore(firstConfig))), message);
  });

test("routes by a session whose AS number takes four octets are right", async () => {
  const act = ({ cluster: { people, nodes } }: Scene) => {
    nodes.setPeerValue(0, "my-asn", "4200000001");
    people.setService("r", { ...spec, pool: "routed" });
  };
  assert.equal(await found(act, 27, byAsn(withMore(firstConfig))), "");
});
