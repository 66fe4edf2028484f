import assert from "node:assert/strict";
import { test } from "node:test";
import { NetlinkSocket, SystemCallError } from "#pkg/linux";
import { InterfaceWatcher } from "./interface-watcher.ts";

const errnoNoBuffers = 105;

test("a reading that the kernel has no memory for is logged, and tried again soon", (t) => {
  const logged: string[] = [];
  using watcher = new InterfaceWatcher((_level, message) => logged.push(message));
  const refuse = t.mock.method(NetlinkSocket.prototype, "send", () => {
    throw new SystemCallError("send", errnoNoBuffers, "send a netlink request");
  });
  assert.equal(watcher.work(0), undefined);
  assert.deepEqual([logged, watcher.nextAt], [["interfaces could not be read"], 100]);
  refuse.mock.restore();
  assert.ok(watcher.work(100)?.some(({ name }) => name === "lo"));
  assert.equal(watcher.nextAt, 10_100);
});
