import { type Flood, maxTurn, RoutesLab, routeCount } from "./routes-lab.ts";
import type { Scene } from "./scene.ts";

const flood: Flood = { mode: "refresh", octets: 64 << 10 };
const times = 3;

/** Each message asks for all routes again: answered one by one, 64 KiB of them kept the main thread busy for 1.7 s. */
export const routeRefresh: Scene = {
  name: "route-refresh",
  tried: `a configured router asks for all of ${routeCount} routes again in ${flood.octets >> 10} KiB of ROUTE-REFRESH, ${times} times`,
  async run() {
    await using routes = await RoutesLab.start([flood]);
    const began = performance.now();
    const ends: string[] = [];
    const turn = await routes.watch(async () => {
      for (let time = 0; time < times; time++) ends.push(await routes.flood(flood));
    });
    const seconds = (performance.now() - began) / 1000;
    const elsewhere = await routes.routesElsewhere();
    return {
      seconds,
      effect: `longest turn of the main thread ${turn.cpu.toFixed(1)} ms (${turn.wall.toFixed(1)} ms by the clock); ${ends.join(", ")}; another router has ${elsewhere} routes`,
      holds: turn.cpu < maxTurn && elsewhere === routeCount,
    };
  },
};
