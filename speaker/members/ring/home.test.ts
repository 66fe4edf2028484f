import assert from "node:assert/strict";
import { test } from "node:test";
import type { InterfaceState } from "#pkg/layer2";
import { followInterfaces, lookForAddress, newHome } from "./home.ts";

const eth0 = { index: 2, name: "eth0", mac: "02:00:00:00:00:01", status: "answering", running: true } as const;
const before = "2001:db8:1::5";

/** A node had one prefix, and 20 s later it has these addresses. @returns its address in the ring 0.5 s and 10 s after that */
function renumbered(addresses: readonly string[], unfit: readonly string[] = []): string[] {
  let home = followInterfaces(newHome, [{ ...eth0, addresses: [`${before}/64`] }], before, 0);
  const there: InterfaceState = { ...eth0, addresses, unfit };
  home = followInterfaces(home, [there], before, 20_000);
  return [20_500, 30_000].map((now) => {
    home = lookForAddress(followInterfaces(home, [there], home.address, now), now);
    return home.address;
  });
}

test("the ring goes by a new address of the interface of the former one", () => {
  const now = "2001:db8:2::5";
  assert.deepEqual(renumbered([`${now}/64`, "fe80::1/64"]), [now, now]);
  assert.deepEqual(renumbered(["2001:db8:2::5/128", "192.0.2.1/24"]), [before, before], "none of its family in a subnet");
});

test("it takes no address that is temporary, deprecated or not yet checked for duplicates", () => {
  const [temporary, steady] = ["2001:db8:2::1", "2001:db8:2::5"];
  assert.deepEqual(renumbered([`${temporary}/64`, `${steady}/64`], [`${temporary}/64`]), [steady, steady]);
  assert.deepEqual(renumbered([`${temporary}/64`], [`${temporary}/64`]), [before, before]);
});
