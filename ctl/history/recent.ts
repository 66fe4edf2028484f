import { counted } from "#pkg/text";
import { askAll, type Processes, type Unreachable } from "../cluster/processes.ts";
import { type Moment, type RecorderAnswer, timeline } from "./timeline.ts";

/** Recent changes of addresses, of nodes and of the API. */
export interface Recent {
  readonly moments: readonly Moment[];
  readonly unreachable: readonly Unreachable[];
}

// Words in records of moves, of Services that are not announced any more, and of warnings. Processes add what their nodes saw just before.
const words = ["tookOver", "serviceWithdrawn", "Warning"];
// One node that fails moves all of its addresses, within this time: they are one moment.
const togetherMs = 5_000;
/** How many are returned; the oldest are left out. */
const maxMoments = 500;

/** Asks all processes for their records since then, as far as they remember. */
export async function askRecent(processes: Processes, since: Date): Promise<Recent> {
  const asked = await Promise.all(words.map((word) => askAll<RecorderAnswer>(processes, `/v1/recorder?about=${word}`)));
  const moments = timeline(asked.flatMap(({ answers }) => answers.map(({ body }) => body)));
  const wanted = moments.filter(({ at }) => Date.parse(at) >= since.getTime());
  return { moments: together(wanted).slice(-maxMoments), unreachable: asked[0]?.unreachable ?? [] };
}

/** Each moment once, and one for all addresses to which the same happened together. @param moments the earliest first */
export function together(moments: readonly Moment[]): Moment[] {
  const groups: { readonly first: Moment; readonly kind: string; readonly whats: Set<string> }[] = [];
  for (const moment of moments) {
    const kind = `${moment.node} ${moment.program} ${moment.why} ${moment.what.replace(anAddress, "")}`;
    const known = groups.findLast((one) => one.kind === kind && Date.parse(moment.at) - Date.parse(one.first.at) <= togetherMs);
    if (known === undefined) groups.push({ first: moment, kind, whats: new Set([moment.what]) });
    else known.whats.add(moment.what);
  }
  return groups.map(({ first, whats }) =>
    whats.size === 1
      ? first
      : Object.assign({}, first, { what: first.what.replace(anAddress, `$& and ${counted(whats.size - 1, "other address")}`) }),
  );
}

/** An IP address within a text, and no MAC address. */
export const anAddress =
  /(?<![\w.:])(?!(?:[\da-f]{2}:){5}[\da-f]{2}(?![\w.:]))(?:\d+(?:\.\d+){3}|[\da-f]*:[\da-f:]*:[\da-f.:]*)(?![\w.:])/;
