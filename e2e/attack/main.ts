/**
 * Attacks a speaker in a network of namespaces, one scene after another, and prints each attack, its duration and its effect: `node
 * e2e/attack/main.ts [NAME…]`, all of them without a name. Exits with 1 when a speaker did something that no attack may make it do. Needs
 * root where a scene needs FRR. `.cache/attack/NAME/` keeps the output of a scene's processes, also of killed ones.
 */
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { arpForged } from "./arp-forged.ts";
import { arpForgedAfterFailure } from "./arp-forged-after-failure.ts";
import { bfdForgedDown } from "./bfd-forged-down.ts";
import { clientsAndKill } from "./clients-and-kill.ts";
import { configurationEditor } from "./configuration-editor.ts";
import { failoverForged } from "./failover-forged.ts";
import { handoverAbused } from "./handover-abused.ts";
import { http } from "./http.ts";
import { overload } from "./overload.ts";
import { bgpConnectionFlood, httpConnectionFlood } from "./port-floods.ts";
import { ringConnectionFlood, ringGarbage, ringIdleConnections, ringReplay } from "./ring.ts";
import { routeRefresh } from "./route-refresh.ts";
import { routersForged } from "./routers-forged.ts";
import type { Scene } from "./scene.ts";
import { sharedAddress } from "./shared-address.ts";
import { updateFlood } from "./update-flood.ts";

const scenes: readonly Scene[] = [
  routeRefresh,
  updateFlood,
  bfdForgedDown,
  failoverForged,
  arpForged,
  arpForgedAfterFailure,
  routersForged,
  ringIdleConnections,
  ringConnectionFlood,
  ringGarbage,
  ringReplay,
  configurationEditor,
  sharedAddress,
  handoverAbused,
  http,
  httpConnectionFlood,
  bgpConnectionFlood,
  overload,
  clientsAndKill,
];

const names = process.argv.slice(2);
const unknown = names.filter((name) => !scenes.some((scene) => scene.name === name));
if (unknown.length > 0)
  throw new Error(`Cannot run ${unknown.join(", ")}: the scenes are ${scenes.map(({ name }) => name).join(", ")}`);

for (const scene of scenes) {
  if (names.length > 0 && !names.includes(scene.name)) continue;
  console.log(`${scene.name}\n  tried: ${scene.tried}`);
  const logs = fileURLToPath(new URL(`../../.cache/attack/${scene.name}`, import.meta.url));
  rmSync(logs, { recursive: true, force: true });
  const { seconds, effect, holds } = await scene.run(logs);
  console.log(`  for:   ${seconds.toFixed(1)} s\n  did:   ${effect}\n  ${holds ? "holds" : `DOES NOT HOLD, see ${logs}`}`);
  if (!holds) process.exitCode = 1;
}
