import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { Portions } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { centralName } from "#pkg/gossip";
import { silentLog } from "#pkg/log/testing";
import { BgpSessions, keptForwarding } from "./start-bgp.ts";

test("a node that was booted while a router still kept its routes has not kept forwarding, and one that runs for longer has", () => {
  assert.deepEqual(
    [5, 119, 121, 86_400].map((uptimeSeconds) => keptForwarding("node-1", uptimeSeconds, 120)),
    [false, false, true, true],
  );
});

test("a central speaker on a node that was just booted has kept forwarding: other nodes do it", () => {
  assert.ok(keptForwarding(centralName("node-1"), 5, 120));
});

test("routers can connect once another program has left the port, such as a speaker that was about to end", async () => {
  const other = createServer().listen(0);
  await once(other, "listening");
  const address = other.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const clock = new SimulatedClock();
  const common = { node: "node1", portions: new Portions(clock, 4), clock, random: seededRandom(1), log: silentLog };
  using sessions = new BgpSessions({ ...common, port });
  await sessions.start();
  clock.advanceBy(5_000);
  other.close();
  await once(other, "close");
  const connected = Promise.withResolvers<void>();
  const knock = (): void => {
    const socket = connect(port, "127.0.0.1", connected.resolve);
    socket.on("error", () => setImmediate(knock));
    socket.on("connect", () => socket.destroy());
    clock.advanceBy(5_000);
  };
  knock();
  await connected.promise;
});
