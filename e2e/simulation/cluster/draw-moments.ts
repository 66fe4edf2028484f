import type { Millis } from "#pkg/clock";
import type { Draw } from "./draw.ts";
import { endOf, type History } from "./history.ts";

// So long before or after another act begins an act may come.
const aroundMs: Millis = 3_000;
// In half of the cases it is this soon.
const soonMs: Millis = 300;

/** @returns what draws when an act begins: near another act of the history, or in half of the cases near any moment of it */
export function momentsOf(draw: Draw, history: History): () => Millis {
  const until = endOf(history);
  const nearActs = momentsNearActs(draw, history);
  return () => (draw.pick(2) === 0 ? near(draw, draw.pick(until)) : nearActs());
}

/** @returns what draws when an act begins: near another act of the history */
export function momentsNearActs(draw: Draw, { acts }: History): () => Millis {
  const moments = acts.map(({ at }) => at);
  return () => near(draw, moments[draw.pick(moments.length)] ?? 0);
}

function near(draw: Draw, moment: Millis): Millis {
  const off = draw.pick(2) === 0 ? draw.pick(soonMs) : draw.pick(2 * aroundMs) - aroundMs;
  return Math.max(0, moment + off);
}
