import { subscribe } from "node:diagnostics_channel";
import { setImmediate } from "node:timers/promises";
import { secret } from "#pkg/k8s/testing";
import type { FakeNetbox } from "#pkg/netbox/testing";
import { namespace, type World } from "./world.ts";

/** The Secret with the token for NetBox. */
export const tokenOf = ({ token, url }: FakeNetbox, use = "netbox-token") =>
  secret(`${namespace}/netbox`, { token, url: `${url}/` }, use);

let underWay = 0; // requests of this process
subscribe("undici:request:create", () => underWay++);
for (const end of ["undici:request:trailers", "undici:request:error"]) subscribe(end, () => underWay--);

/** Lets NetBox answer all that it is asked, and what follows from the answers. */
async function answered(): Promise<void> {
  for (let quiet = 0; quiet < 5; quiet++) {
    await setImmediate();
    if (underWay > 0) quiet = 0;
  }
}

/** Lets time pass, and NetBox answer meanwhile. @returns what happened */
export async function pass(world: World, ms: number): Promise<string[]> {
  const lines: string[] = [];
  for (let passed = 0; passed < ms; passed += 100) {
    world.clock.advanceBy(100);
    lines.push(...(await world.settle()));
    await answered();
    lines.push(...(await world.settle()));
  }
  return lines;
}
