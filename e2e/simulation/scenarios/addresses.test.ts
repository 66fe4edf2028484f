import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { type ServiceOptions, World } from "./world.ts";

const configuration = `address-pools:
- name: small
  protocol: layer2
  addresses: [172.30.0.200-172.30.0.202]
- name: reserved
  protocol: layer2
  auto-assign: false
  addresses: [172.30.0.220-172.30.0.221, fd00:30::220-fd00:30::22f]
`;
const annotation = (name: string) => `metallb.universe.tf/${name}`;

suite("who gets which address", () => {
  let world: World;
  beforeEach(async () => {
    world = await World.start(configuration, { nodes: 1 });
  });

  const requests: { name: string; request: ServiceOptions; want: string[] }[] = [
    { name: "by spec.loadBalancerIP", request: { spec: { loadBalancerIP: "172.30.0.202" } }, want: ["172.30.0.202"] },
    {
      name: "by annotation",
      request: { annotations: { [annotation("loadBalancerIPs")]: "172.30.0.221" } },
      want: ["172.30.0.221"],
    },
    { name: "by pool", request: { annotations: { [annotation("address-pool")]: "reserved" } }, want: ["172.30.0.220"] },
    {
      name: "of each family by pool",
      request: {
        annotations: { [annotation("address-pool")]: "reserved" },
        spec: { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] },
      },
      want: ["172.30.0.220", "fd00:30::220"],
    },
  ];
  for (const { name, request, want } of requests) {
    test(`an address is requested ${name}`, async () => {
      world.apply("asking", request);
      assert.deepEqual(await world.assigned("asking"), want);
    });
  }

  test("two Services that ask for one address: an event on the second says who holds it", async () => {
    world.apply("first", { spec: { loadBalancerIP: "172.30.0.201" } });
    await world.assigned("first");
    world.apply("second", { spec: { loadBalancerIP: "172.30.0.201" } });
    await world.event("second", "AllocationFailed", /172\.30\.0\.201.*default\/first/);
    assert.deepEqual(world.addresses("second"), []);
    world.delete("first");
    assert.deepEqual(await world.assigned("second"), ["172.30.0.201"]);
  });

  test("a pool that is full: the one that waits has an event, and gets the first address that is freed", async () => {
    for (const name of ["one", "two", "three"]) {
      world.apply(name);
      await world.assigned(name);
    }
    world.apply("waiting");
    await world.event("waiting", "AllocationFailed", /small/);
    const freed = world.addresses("two");
    world.delete("two");
    assert.deepEqual(await world.assigned("waiting"), freed);
  });

  test("a Service that stops being a load balancer loses its address, and the next one gets it", async () => {
    world.apply("former", { spec: { loadBalancerIP: "172.30.0.200" } });
    await world.assigned("former");
    world.apply("next", { spec: { loadBalancerIP: "172.30.0.200" } });
    await world.event("next", "AllocationFailed", /default\/former/);
    world.apply("former", { spec: { type: "ClusterIP", loadBalancerIP: null } });
    assert.deepEqual(await world.assigned("next"), ["172.30.0.200"]);
    assert.deepEqual(world.addresses("former"), []);
  });

  test("a controller that is restarted, in order or not, leaves every address where it is", async () => {
    const { cluster } = world;
    const names = ["alpha", "beta", "gamma"];
    for (const name of names) world.apply(name);
    for (const name of names) await world.assigned(name);
    const before = names.map((name) => world.addresses(name));
    for (const stop of ["stopController", "killController"] as const) {
      for (const index of cluster.controllers.keys()) cluster[stop](index);
      await cluster.pass(1_000);
      world.apply(`after-${stop}`.toLowerCase()); // It would fit, if one of theirs were taken for free.
      for (const index of cluster.controllers.keys()) cluster.startController(index);
      await world.event(`after-${stop}`.toLowerCase(), "AllocationFailed", /small/);
      assert.deepEqual(
        names.map((name) => world.addresses(name)),
        before,
      );
    }
  });

  test("a malformed annotation is an event on its Service, and hinders nobody else", async () => {
    world.apply("malformed", { annotations: { [annotation("loadBalancerIPs")]: "172.30.0.300" } });
    await world.event("malformed", "AllocationFailed", /172\.30\.0\.300/);
    world.apply("sound");
    assert.deepEqual(await world.assigned("sound"), ["172.30.0.200"]);
    assert.equal(world.events("malformed").filter((event) => event.startsWith("Warning ")).length, 1, "one event");
  });

  test("a Service of another load balancer class is left alone", async () => {
    world.apply("other", { spec: { loadBalancerClass: "example.com/other" } });
    world.apply("ours");
    await world.assigned("ours");
    assert.deepEqual([world.addresses("other"), world.events("other")], [[], []]);
  });
});
