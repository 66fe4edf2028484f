import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { SimulatedClock } from "#pkg/clock/testing";
import { NetlinkError, Rtnetlink, SystemCallError } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import type { SpeakerEvent } from "./core/index.ts";
import { FollowedRoutes } from "./followed-routes.ts";

const errnoNoBuffers = 105;

for (const failure of [
  new SystemCallError("send", errnoNoBuffers, "send a netlink request"),
  new NetlinkError("Cannot decode route: 4 octets, prefix length is 48"),
])
  test(`a kernel whose answer is a ${failure.name} is said once, what was known stays, and it is asked again each second`, (t) => {
    let answers = 1;
    t.mock.method(Rtnetlink.prototype, "interfaceTo", () => {
      if (answers-- > 0) return 2;
      throw failure;
    });
    const clock = new SimulatedClock();
    const logged: string[] = [];
    const events: SpeakerEvent[] = [];
    const log = { ...silentLog, error: (message: string) => logged.push(message) };
    const interfaces = () => [{ index: 2, name: "eth0" } as never];
    using routes = new FollowedRoutes({ layer2: { interfaces }, emit: (event) => events.push(event), clock, log });
    routes.follow({ addresses: [address("192.0.2.1")], names: [], gateways: false });
    assert.deepEqual([logged.length, events.length], [0, 1], "told at once");
    clock.advanceBy(10_000);
    assert.deepEqual([logged.length, events.length], [1, 1]);
    answers = 1;
    clock.advanceBy(10_000);
    assert.deepEqual([logged.length, events.length], [2, 1]);
  });

// A namespace of its own, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

test("an interface of a pool, or of an unnumbered peer, is known by its second name, too", {
  skip: !available && "needs unshare, ip and user namespaces",
}, async () => {
  const file = new URL("./testing/altname-scenario.ts", import.meta.url).pathname;
  const options = { timeout: 60_000, killSignal: "SIGKILL" } as const;
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], options);
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});
