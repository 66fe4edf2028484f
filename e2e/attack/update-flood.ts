import { type LongestTurn, RoutesLab, routeCount } from "./routes-lab.ts";
import type { Scene } from "./scene.ts";

const modes = ["update", "malformed", "keepalive"] as const;
const octets = 200 << 20;

/** Messages that a speaker only counts: each flood ends with Cease/Out of Resources, and nobody else notices it. */
export const updateFlood: Scene = {
  name: "update-flood",
  tried: `a configured router sends UPDATEs full of prefixes, malformed ones, and KEEPALIVEs as fast as they are read, at ${routeCount} routes`,
  async run() {
    const began = performance.now();
    const effects: string[] = [];
    let holds = true;
    for (const mode of modes) {
      await using routes = await RoutesLab.start(mode, octets);
      let end = "";
      const turn: LongestTurn = await routes.watch(async () => {
        end = await routes.flood();
      });
      const elsewhere = await routes.routesElsewhere();
      effects.push(
        `${mode}: longest turn ${turn.cpu.toFixed(1)} ms (${turn.wall.toFixed(1)} ms by the clock), ${end}, ${elsewhere} routes elsewhere`,
      );
      holds &&= turn.cpu < 100 && elsewhere === routeCount && /6\/8/.test(end);
    }
    return { seconds: (performance.now() - began) / 1000, effect: effects.join("; "), holds };
  },
};
