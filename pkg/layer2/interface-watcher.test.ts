import assert from "node:assert/strict";
import { test } from "node:test";
import { InterfaceTable, type NetlinkMessage, NetlinkSocket, SystemCallError } from "#pkg/linux";
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

test("readings that are interrupted each time are tried again ever later, which is logged once, and none is without what could be read", (t) => {
  const logged: string[] = [];
  using watcher = new InterfaceWatcher((_level, message) => logged.push(message));
  const { apply } = InterfaceTable.prototype;
  t.mock.method(InterfaceTable.prototype, "apply", function (this: InterfaceTable, message: NetlinkMessage) {
    return apply.call(this, { ...message, interrupted: true });
  });
  assert.ok(watcher.work(0)?.some(({ name }) => name === "lo"));
  const times = Array.from({ length: 8 }, () => {
    const at = watcher.nextAt;
    watcher.work(at);
    return at;
  });
  assert.deepEqual(times, [100, 300, 700, 1_500, 3_100, 6_300, 12_700, 22_700]);
  assert.deepEqual(logged, ["interfaces change each time that they are read, retrying ever later"]);
  t.mock.restoreAll();
  watcher.work(watcher.nextAt);
  assert.equal(watcher.nextAt, 42_700);
});

test("a reading that fails after one that was interrupted is logged", (t) => {
  const logged: string[] = [];
  using watcher = new InterfaceWatcher((_level, message) => logged.push(message));
  const { apply } = InterfaceTable.prototype;
  t.mock.method(InterfaceTable.prototype, "apply", function (this: InterfaceTable, message: NetlinkMessage) {
    return apply.call(this, { ...message, interrupted: true });
  });
  watcher.work(0);
  t.mock.method(NetlinkSocket.prototype, "send", () => {
    throw new SystemCallError("send", errnoNoBuffers, "send a netlink request");
  });
  for (let reading = 0; reading < 5; reading++) watcher.work(watcher.nextAt);
  assert.deepEqual(logged, ["interfaces could not be read, retrying"]);
});
