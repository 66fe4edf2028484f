import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { widenOutages } from "./draw-outages.ts";
import { drawSticky } from "./draw-sticky.ts";
import { fairWeather, type History, slotsConfig, widerSlotsConfig, withoutSlotsConfig } from "./history.ts";

// Between two deaths: all is as before by then, but for the slots of the one that died.
const pauseMs: Millis = 15_000;
const deaths = 4;
const maxNodes = 6;

const service = (nodes: number) => ({
  pool: "routed",
  isDual: true,
  wanted: undefined,
  sharing: undefined,
  port: 80,
  endpoints: Array.from({ length: nodes }, (_, node) => node),
  isLocal: false,
});

/**
 * A history of next-hop slots, drawn by its seed. Where it is odd: speakers end one after the other, stay away for milliseconds to half a minute, and come back; in half of
 * these histories one speaker, or several at once, lose the API for some time. Where it is even: everything that befalls sticky addresses, and the pool loses its slots, or has twice as many, and has the same ones again.
 */
export function drawSlots(seed: number): History {
  const random = seededRandom(seed);
  const pick = (limit: number): number => Math.floor(random() * limit);
  if (seed % 2 === 1) {
    const nodes = 3 + pick(maxNodes - 2);
    const loss = [0, 0.05][pick(2)] ?? 0;
    let at = pauseMs;
    const acts: History["acts"][number][] = [];
    for (let count = 0; count < deaths; count++) {
      const type = (["killSpeaker", "powerOff", "stopSpeaker"] as const)[pick(3)] ?? "killSpeaker";
      const length = pick(2) === 0 ? pick(3_000) : pick(30_000);
      acts.push({ at, act: { type, node: pick(nodes), length } });
      at += length + pauseMs;
    }
    if (pick(2) === 0) acts.push({ at: pick(at), act: { type: "cutApi", node: pick(nodes), length: 2_000 + pick(80_000) } });
    acts.sort((a, b) => a.at - b.at);
    const services = { web: service(nodes) };
    return { seed, nodes, loss, config: slotsConfig, services, acts: widenOutages({ seed, nodes, acts }) };
  }
  const drawn = drawSticky(seed);
  const acts = drawn.acts.filter(({ act }) => act.type !== "service");
  const end = acts.at(-1)?.at ?? 0;
  if (pick(2) === 0) {
    const from = pick(end + 1);
    const text = [withoutSlotsConfig, widerSlotsConfig][pick(2)] ?? "";
    acts.push({ at: from, act: { type: "config", text } });
    acts.push({ at: from + pick(10_000), act: { type: "config", text: slotsConfig } });
  }
  acts.sort((a, b) => a.at - b.at);
  return { ...drawn, weather: fairWeather, config: slotsConfig, services: { web: service(drawn.nodes) }, acts };
}
