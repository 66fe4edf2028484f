import assert from "node:assert/strict";
import { test } from "node:test";
import { NetlinkSocket, SystemCallError } from "#pkg/linux";
import { InterfaceWatcher } from "./interface-watcher.ts";

const errnoNoBuffers = 105;

test("a reading that the kernel has no memory for is logged once, and tried again soon, then ever later", (t) => {
  const logged: string[] = [];
  using watcher = new InterfaceWatcher((_level, message) => logged.push(message));
  const refuse = t.mock.method(NetlinkSocket.prototype, "send", () => {
    throw new SystemCallError("send", errnoNoBuffers, "send a netlink request");
  });
  assert.equal(watcher.work(0), undefined);
  assert.deepEqual([logged, watcher.nextAt], [["interfaces could not be read, retrying"], 100]);
  const times = Array.from({ length: 9 }, () => {
    watcher.work(watcher.nextAt);
    return watcher.nextAt;
  });
  assert.deepEqual([logged.length, times], [1, [300, 700, 1_500, 3_100, 6_300, 12_700, 22_700, 32_700, 42_700]]);
  refuse.mock.restore();
  assert.ok(watcher.work(42_700)?.some(({ name }) => name === "lo"));
  assert.equal(watcher.nextAt, 52_700);
  t.mock.method(NetlinkSocket.prototype, "send", () => {
    throw new SystemCallError("send", errnoNoBuffers, "send a netlink request");
  });
  watcher.work(52_700);
  assert.deepEqual([logged.length, watcher.nextAt], [2, 52_800]);
});
