import { anAddress } from "../../history/recent.ts";
import type { Moment } from "../../history/timeline.ts";
import type { EventRow } from "./rows.ts";

const looks: readonly (readonly [RegExp, EventRow["state"]])[] = [
  [/^(?:withdraws|cannot announce|event|does not see the API)|does not answer|failed/, "Degraded"],
  [/^(?:took|announces|advertises)/, "Announced"],
];

/** The recordings of processes, as the changes that the timeline shows. */
export function recordedEvents(moments: readonly Moment[]): EventRow[] {
  return moments.map(({ at, program, node, what, why }, index) => {
    const who = node === "" ? program : node;
    const address = anAddress.exec(what)?.[0];
    const [, state = "Ready"] = looks.find(([pattern]) => pattern.test(what)) ?? [];
    const subject = address ?? (node === "" ? "config" : `node/${node}`);
    return { id: `recorded ${index}`, at, subject, what: `${who} ${what}`, why, state };
  });
}
