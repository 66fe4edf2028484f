import assert from "node:assert/strict";
import { test } from "node:test";
import type { Family } from "#pkg/net";
import { routerIdOf } from "./router-id.ts";
import { address, settings } from "./testing/settings.ts";

function idOf(addresses: readonly string[], routerId?: string): string {
  const parsed = addresses.map(address);
  const [own = address("::1")] = parsed;
  const end = { address: own, interface: "eth0", addresses: new Map<Family, typeof own>(), linkLocal: undefined };
  for (const each of parsed) end.addresses.set(each.family, each);
  return `${routerIdOf(settings({ routerId: routerId === undefined ? undefined : address(routerId) }), end, "node-1")}`;
}

test("the router identifier is the configured one, this side's IPv4 address, or made from the node's name", () => {
  assert.equal(idOf(["192.0.2.1"], "10.0.0.1"), "10.0.0.1");
  assert.equal(idOf(["192.0.2.1"]), "192.0.2.1");
  assert.equal(idOf(["2001:db8::1", "192.0.2.7"]), "192.0.2.7");
  assert.equal(idOf(["2001:db8::1"]), "95.28.242.19");
});
