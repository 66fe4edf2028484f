import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import type { ServiceSpec } from "./api/objects.ts";
import { type Act, bfdConfig, firstConfig, movedConfig } from "./history.ts";

export interface ControllerTroubles {
  readonly pick: (limit: number) => number;
  readonly service: () => ServiceSpec;
}

const refusedConfig = firstConfig.slice(firstConfig.indexOf("peers:"));

/** What happens to controllers at about the same time: each alone they bear. @param at when it begins */
export function drawTroubles({ pick, service }: ControllerTroubles, at: Millis): Timed<Act>[] {
  const index = pick(2);
  const soon = (): Millis => at + pick(pick(2) === 0 ? 30 : 3_000);
  const away: readonly (() => Act)[] = [
    () => ({ type: "killController", controller: index, length: pick(5_000) }),
    () => ({ type: "stopController", controller: index, length: pick(5_000) }),
    () => ({ type: "stallController", controller: index, length: pick(8_000) }),
    () => ({ type: "cutControllerApi", controller: index, length: pick(10_000) }),
    () => ({ type: "breakWatches", of: { controller: index } }),
    () => ({ type: "restartApi" }),
  ];
  const some = (acts: readonly (() => Act)[], count: number): Timed<Act>[] =>
    Array.from({ length: count }, () => ({ at: soon(), act: acts[pick(acts.length)]?.() ?? { type: "compact" } }));
  const edits = [() => ({ type: "service", name: `s${pick(9)}`, spec: pick(6) === 0 ? undefined : service() }) as const];
  const texts = [firstConfig, movedConfig, bfdConfig];
  const config = (): Act =>
    pick(4) === 0
      ? { type: "config", text: pick(2) === 0 ? refusedConfig : "address-pools: [" }
      : { type: "config", text: texts[pick(texts.length)] ?? "", mayRenumber: pick(2) === 0 };
  switch (pick(4)) {
    case 0:
      return [{ at, act: { type: "deleteLease" } }, ...some(away, pick(3)), ...some([() => ({ type: "deleteLease" })], pick(2))];
    case 1:
      return [
        ...some(edits, 2 + pick(5)),
        { at: at + pick(5_000), act: { type: "restore", age: pick(6_000) } },
        ...some(away, pick(2)),
      ];
    case 2:
      return [...some([config], 2 + pick(3)), ...some(edits, pick(3)), ...some(away, pick(2))];
    default:
      return [
        ...some([config], 1 + pick(2)),
        ...some(edits, pick(3)),
        { at: soon(), act: { type: "restore", age: pick(6_000) } },
      ];
  }
}
