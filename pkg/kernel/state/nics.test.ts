import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetlinkMessage } from "#pkg/linux";
import { address } from "#pkg/net/testing";
import { at, has, known, link, mark, place, run } from "../testing/known-kernel.ts";
import type { AddressItem } from "./items.ts";
import { compare, observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { complete, createKernelState, want } from "./state.ts";

const nic = (text: string): AddressItem => {
  const one = address(text);
  return at(text, { interface: "eth0", isOnLan: true, prefixLength: one.bits });
};
const eth0 = link(9, "eth0");
const inSubnet = (text: string, more = {}) => has(9, text, undefined, "addressSet", { prefixLength: 24, ...more });

test("an address that an earlier version gave the length of the NIC's subnet is replaced in the same breath, also before all is known", () => {
  const former = [
    has(9, "192.0.2.1", mark, "addressSet", { prefixLength: 24 }),
    has(9, "2001:db8::1", mark, "addressSet", { prefixLength: 64 }),
    has(9, "192.0.2.2", mark, "addressSet", { prefixLength: 24 }),
  ];
  for (const isEarly of [true, false]) {
    const state = createKernelState(true);
    state.marks.add(mark);
    const wants = () => want(state, "a", [nic("192.0.2.1"), nic("2001:db8::1")], 0);
    if (isEarly) wants();
    compare(state, { messages: [eth0, ...former], complete: true }, 0);
    wants();
    assert.deepEqual(run(state, 0), [
      "setAddress 192.0.2.1",
      "deleteAddress 192.0.2.1",
      "deleteAddress 2001:db8::1",
      "setAddress 2001:db8::1",
    ]);
    assert.deepEqual([run(state, 0), place(state)], [[], "placed,placed"]);
    complete(state);
    assert.deepEqual(run(state, 0), ["deleteAddress 192.0.2.2"], "nobody wants it");
  }
  const held = known([nic("192.0.2.1")], [eth0, link(2, "eth1"), has(2, "192.0.2.1"), ...former], { isComplete: false });
  assert.deepEqual([run(held, 0), place(held)], [[], "held"]);
});

test("an address on a NIC is put behind the node's own where that comes later, and no other is", () => {
  const own = inSubnet("192.0.2.100");
  const ours = has(9, "192.0.2.1", mark);
  const moved = ["deleteAddress 192.0.2.1", "replaceAddress 192.0.2.1"];
  const cases: readonly { readonly name: string; readonly found: NetlinkMessage[]; readonly asked: string[] }[] = [
    { name: "the node's own came again", found: [ours, own], asked: moved },
    { name: "it is where it belongs", found: [own, ours], asked: [] },
    {
      name: "the second of a subnet comes behind it anyhow",
      found: [own, ours, inSubnet("192.0.2.101", { flags: 1 })],
      asked: [],
    },
    { name: "another program's, without a subnet", found: [own, ours, has(9, "192.0.2.50")], asked: [] },
    { name: "of IPv6", found: [own, ours, has(9, "2001:db8::9", undefined, "addressSet", { prefixLength: 64 })], asked: [] },
  ];
  for (const { name, found, asked } of cases) {
    const state = known(
      [nic("192.0.2.1"), at("198.51.100.1")],
      [eth0, own, ours, has(3, "198.51.100.1", mark), has(3, "192.0.2.200")],
    );
    run(state, 0);
    compare(state, { messages: [eth0, link(3, "lb0"), ...found, has(3, "198.51.100.1", mark)], complete: true }, 1_000);
    assert.deepEqual([run(state, 1_000), run(state, 1_000)], [asked, []], name);
  }
});

test("a change of the node's own addresses has all looked at again at once, and one of ours has not", () => {
  const state = known([nic("192.0.2.1")], [eth0, inSubnet("192.0.2.100"), has(9, "192.0.2.1", mark)]);
  const looksAfter = (message: NetlinkMessage, now: number) => {
    observe(state, message, now);
    const looks = state.scanAt <= now;
    if (looks) compare(state, { messages: [eth0, inSubnet("192.0.2.100"), has(9, "192.0.2.1", mark)], complete: true }, now);
    return looks;
  };
  assert.ok(!looksAfter(has(9, "192.0.2.1", mark), 2_000));
  assert.ok(!looksAfter(has(9, "192.0.2.1", mark, "addressSet", { prefixLength: 24 }), 3_000));
  assert.ok(looksAfter(inSubnet("192.0.2.101"), 4_000));
  assert.ok(looksAfter(has(9, "192.0.2.100", undefined, "addressDeleted", { prefixLength: 24 }), 5_000));
});

test("an address of the dummy is of the host's scope, but for one with a subnet; one of a NIC is not, or it would come before the node's own", () => {
  const state = known([nic("192.0.2.1"), at("198.51.100.1"), at("203.0.113.1", { prefixLength: 24 })], [eth0]);
  const scopes = plan(state, 0, 100).map(({ request }) =>
    request.type === "setAddress" ? [request.hasHostScope, request.noPrefixRoute] : [],
  );
  assert.deepEqual(scopes, [
    [false, true],
    [true, false],
    [false, false],
  ]);
});
