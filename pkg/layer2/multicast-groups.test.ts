import assert from "node:assert/strict";
import { test } from "node:test";
import { MulticastGroups } from "./multicast-groups.ts";
import { ourAddress6 } from "./testing/frames.ts";

test("why groups cannot be joined is reported once, as long as it stays the same, and no longer when nobody needs them", () => {
  using groups = new MulticastGroups(0x7fff_fff0); // No such interface.
  assert.equal(groups.retry(), undefined);
  groups.add(ourAddress6);
  groups.add(ourAddress6 + 1n);
  assert.equal(
    groups.retry()?.message,
    "Cannot join a multicast group on interface 2147483632: setsockopt: ENODEV, no such device",
  );
  assert.equal(groups.retry(), undefined);
  groups.remove(ourAddress6);
  groups.remove(ourAddress6 + 1n);
  assert.equal(groups.retry(), undefined);
  groups.add(ourAddress6);
  assert.equal(groups.retry()?.code, "ENODEV");
});
