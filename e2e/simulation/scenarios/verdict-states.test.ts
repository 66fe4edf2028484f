import assert from "node:assert/strict";
import { before, suite, test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { World } from "./world.ts";

const configuration = `peers: [{my-asn: 64512, peer-asn: 64513, peer-address: 10.0.255.1}]
address-pools:
- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}
- {name: six, protocol: layer2, auto-assign: false, addresses: ["fd00:30::200-fd00:30::2ff"]}
- {name: routed, protocol: bgp, auto-assign: false, addresses: [203.0.113.0/28]}
- {name: fenced, protocol: layer2, service-selectors: [{match-labels: {tier: front}}], addresses: [172.30.0.212/32]}
`;
const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const ip = (address: string) => ({ "metallb.universe.tf/loadBalancerIPs": address });

suite("what people and others do to a Service is the cause of a verdict, until it is mended", () => {
  let world: World;
  before(async () => {
    world = await World.start(undefined);
    world.apply("web");
  });

  test("without a configuration, and then without pools", async () => {
    await world.explains("svc/web", /^Service default\/web: Pending \(noConfiguration\)/);
    await world.says("speaker-0", "noIPAllocated", "service", "default/web");
    world.configure("address-pools: []");
    await world.explains("svc/web", /^Service default\/web: Pending \(noPools\)/);
    world.configure(configuration);
    await world.assigned("web");
  });

  test("a Service that no longer asks for several pools: an event has the address that it loses, the verdict what it lacks", async () => {
    const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" };
    world.expose("both", [0], { spec, annotations: pool("lan, six") });
    await world.until(() => assert.deepEqual(world.addresses("both"), ["172.30.0.201", "fd00:30::200"]));
    world.apply("both", { spec, annotations: pool("lan") });
    const event = await world.event("both", "ClearAssignment", /fd00:30::200/);
    assert.match(event, /addresses 172\.30\.0\.201 and fd00:30::200 are in different pools \("lan" and "six"\)/);
    await world.explains("svc/both", [
      /^Service default\/both: Degraded \(poolLacksFamily\)/,
      /pool "lan" has no IPv6 addresses; it keeps \["172\.30\.0\.201"\]/,
    ]);
    world.apply("both", { spec, annotations: pool("lan, six") });
    await world.explains("svc/both", /^Service default\/both: Announced/);
  });

  test("a Service that prefers two families, and has one", async () => {
    world.expose("prefers", [0], { spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" } });
    await world.says(world.leader, "oneFamily", "service", "default/prefers");
    await world.event("prefers", "AdditionalAssignFailed", /pool "lan" has no IPv6 addresses/);
    await world.explains("svc/prefers", [
      /^Service default\/prefers: Announced/,
      /^Note on Service default\/prefers: Assigned \(oneFamily\)/m,
      /it prefers two families, and has \["172\.30\.0\.\d+"\] alone: pool "lan" has no IPv6 addresses/,
      /add addresses of that family to it/,
    ]);
  });

  test("a Service that is Local, on the node without an endpoint", async () => {
    world.expose("local", [0], { annotations: pool("routed"), spec: { externalTrafficPolicy: "Local" } });
    await world.says("speaker-1", "noReadyEndpointOnNode", "service", "default/local");
  });

  test("two Services on one address that are Local on different nodes", async () => {
    const annotations = { ...ip("172.30.0.209"), "metallb.universe.tf/allow-shared-ip": "k" };
    const spec = { selector: { app: "both" }, externalTrafficPolicy: "Local" };
    world.expose("left", [0], { annotations, spec });
    world.expose("right", [1], { annotations, spec: { ...spec, ports: [{ name: "http", port: 81 }] } });
    await world.until(async () => {
      const { services } = JSON.parse((await world.tool("services -A -o json")).out) as {
        services: { service: string; verdict: { cause: string } }[];
      };
      const causes = services.filter(({ service }) => /left|right/.test(service)).map(({ verdict }) => verdict.cause);
      assert.deepEqual(causes.sort(), ["announced", "noReadyEndpointOnOwner"]);
    });
  });

  test("a Service that keeps what it would not be given now", async () => {
    world.apply("fenced", { labels: { tier: "front" }, annotations: pool("fenced") });
    await world.assigned("fenced");
    world.apply("fenced", { labels: { tier: "back" }, annotations: pool("fenced") });
    await world.says(world.leader, "notAllowed", "service", "default/fenced");
  });

  test("a status that somebody else writes too", async () => {
    await world.until(async () => {
      world.writeStatus("web", ["192.0.2.9"]);
      await world.cluster.pass(200);
      const causes = (await world.verdicts(world.leader)).filter(({ name }) => name === "default/web").map(({ cause }) => cause);
      assert.ok(causes.includes("statusOverwritten"), causes.join());
    });
  });

  test("an address in a status that is in no pool, while no controller is there", async () => {
    for (const index of world.cluster.controllers.keys()) world.cluster.killController(index);
    world.writeStatus("web", ["192.0.2.9"]);
    await world.says("speaker-0", "ipNotAllowed", "service", "default/web");
  });
});
