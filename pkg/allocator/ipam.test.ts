import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { port, request } from "#pkg/allocator/testing";
import { pool as configured } from "#pkg/config/testing";
import type { Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { Allocator } from "./index.ts";
import { Ipam, type IpamPool, ipamChanges } from "./ipam.ts";

const pool = "gold";

function view(
  granted: Readonly<Record<string, string>>,
  foreign: Readonly<Record<string, string>>,
  more: Partial<IpamPool> = {},
) {
  const maps = { granted: new Map(Object.entries(granted)), foreign: new Map(Object.entries(foreign)) };
  return { pool, ...maps, exhausted: new Set<Family>(), problem: undefined, isRead: true, ...more };
}

const addresses = fc.dictionary(fc.constantFrom("10.0.0.1", "10.0.0.2", "fd00::1"), fc.constantFrom("default/a", "default/b"));
const views = fc
  .tuple(addresses, addresses, fc.boolean(), fc.constantFrom(undefined, "no answer"))
  .map(([granted, foreign, isFull, problem]) => view(granted, foreign, { exhausted: new Set(isFull ? ["IPv4"] : []), problem }));

test("who is told all changes knows what one knows that begins with the last view", () => {
  fc.assert(
    fc.property(fc.array(views), (all) => {
      const told = new Ipam();
      for (const [index, now] of all.entries())
        for (const change of ipamChanges(all[index - 1] ?? view({}, {}, { isRead: false }), now))
          if (change !== undefined) told.change(change);
      const begun = new Ipam(all.slice(-1));
      const of = (ipam: Ipam) => [
        new Map(Array.from(ipam.pools, (each) => [each.pool, each])),
        ["default/a", "default/b"].map((service) => [
          ipam.poolsOf(service),
          ipam.grants(service, pool, "IPv4").map(String).sort(),
        ]),
      ];
      assert.deepEqual(of(told), of(begun));
    }),
  );
});

test("views of many addresses are compared in steps, each change names few of them, and what is as it was is not named", () => {
  const entries = Array.from({ length: 20_000 }, (_, i) => [`10.0.${i >> 8}.${i & 255}`, `default/s${i}`] as const);
  const now = view(Object.fromEntries(entries), {}, { problem: "no answer" });
  const steps = [...ipamChanges(view({}, {}), now)];
  const sizes = steps.map((change) => change?.granted.size ?? 0);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    entries.length,
  );
  assert.ok(Math.max(...sizes) <= 500, `${Math.max(...sizes)} at once`);
  assert.deepEqual(
    steps.map((change) => change?.problem).filter((problem) => problem !== undefined),
    ["no answer"],
  );
  const later = { ...now, granted: new Map(now.granted).set("10.0.0.7", "default/other") };
  const changes = [...ipamChanges(now, later)].filter((change) => change !== undefined);
  assert.deepEqual(
    changes.map(({ granted }) => [...granted]),
    [[["10.0.0.7", "default/other"]]],
  );
});

const netbox = {
  url: "http://netbox.invalid",
  token: { name: "netbox", key: "token" },
  ranges: [],
  tags: [],
  tenant: undefined,
  role: undefined,
  onRelease: "keep",
} as const;
for (const mode of ["allocate", "record"] as const)
  test(`nobody shares an address before it is known who has it in the IPAM (${mode})`, () => {
    for (const foreign of [{}, { "10.0.0.0": "router" }]) {
      const allocator = new Allocator(true);
      allocator.setPools([configured(pool, ["10.0.0.0/32"], { netbox: { ...netbox, mode } })]);
      const [holder, newcomer] = ["80/TCP", "443/TCP"].map((each, index) =>
        request(`s/${index}`, { sharingKey: "k", ports: [port(each)] }),
      );
      assert.ok(holder && newcomer);
      allocator.restore(holder, [address("10.0.0.0")]);
      assert.equal(allocator.settle(newcomer).unmet?.reason, "awaitsIpam");
      for (const change of ipamChanges(view({}, {}, { isRead: false }), view({}, foreign)))
        if (change !== undefined) assert.deepEqual(allocator.changeIpam(change), ["s/1"]);
      assert.equal(allocator.settle(newcomer).allocation?.addresses.join(), "10.0.0.0" in foreign ? undefined : "10.0.0.0");
    }
  });
