/** An interface that the configuration names by its second name (altname). Run by `followed-routes.test.ts`, in a network namespace of its own. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { SimulatedClock } from "#pkg/clock/testing";
import { silentLog } from "#pkg/log/testing";
import { RouterDiscovery } from "#pkg/router-discovery";
import type { SpeakerEvent } from "../core/index.ts";
import { FollowedRoutes } from "../followed-routes.ts";

const ip = (line: string) => execFileSync("ip", line.split(" "), { encoding: "utf8" });
ip("link add made0 type bridge");
ip("link property add dev made0 altname second0");
ip("link set made0 address 02:00:00:00:00:01 up");
const index = Number(ip("-o link show made0").split(":")[0]);
const made = { index, name: "made0", mac: "02:00:00:00:00:01", running: true, addresses: ["fe80::5/64"] };
const common = { clock: new SimulatedClock(), log: silentLog };

const events: SpeakerEvent[] = [];
const layer2 = { interfaces: () => [{ ...made, status: "answering" as const }] };
using routes = new FollowedRoutes({ ...common, layer2, emit: (event) => events.push(event) });
routes.follow({ addresses: [], names: ["second0", "made0", "other0"], gateways: false });
assert.deepEqual(events.splice(0), [{ type: "routes", interfaces: new Map([["second0", "made0"]]) }]);
ip("link property del dev made0 altname second0");
common.clock.advanceBy(1_000);
assert.deepEqual(events, [{ type: "routes", interfaces: new Map() }]);

ip("link property add dev made0 altname second0");
using discovery = new RouterDiscovery({
  ...common,
  random: () => 0,
  interfaces: () => [made],
  isEstablished: () => false,
  onChange() {},
});
discovery.watch(new Set(["second0"]));
assert.deepEqual(discovery.on("second0").router, { missing: "no router advertisement was heard on second0" });
