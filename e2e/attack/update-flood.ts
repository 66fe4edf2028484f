import { type Flood, maxTurn, RoutesLab, routeCount } from "./routes-lab.ts";
import type { Scene } from "./scene.ts";

const octets = 200 << 20;
const floods: readonly Flood[] = [
  { mode: "update", octets },
  { mode: "malformed", octets },
  { mode: "keepalive", octets },
];

/** Messages that a speaker only counts: each flood ends with Cease/Out of Resources, and no other router notices it. */
export const updateFlood: Scene = {
  name: "update-flood",
  tried: `configured routers send UPDATEs full of prefixes, malformed ones, and KEEPALIVEs as fast as they are read, at ${routeCount} routes`,
  async run() {
    await using routes = await RoutesLab.start(floods);
    const began = performance.now();
    const effects: string[] = [];
    let holds = true;
    for (const flood of floods) {
      let end = "";
      const turn = await routes.watch(async () => {
        end = await routes.flood(flood);
      });
      const elsewhere = await routes.routesElsewhere();
      const took = `longest turn ${turn.cpu.toFixed(1)} ms (${turn.wall.toFixed(1)} ms by the clock)`;
      effects.push(`${flood.mode}: ${took}, ${end}, ${elsewhere} routes elsewhere`);
      holds &&= turn.cpu < maxTurn && elsewhere === routeCount && end.endsWith("6/8");
    }
    return { seconds: (performance.now() - began) / 1000, effect: effects.join("; "), holds };
  },
};
