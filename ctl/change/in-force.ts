import { isInForce } from "#pkg/live-config";
import { isProblem } from "#pkg/verdict";
import type { ConfigurationAnswer } from "../cluster/answers.ts";
import type { CommandInput } from "../cluster/cluster-command.ts";
import { askAll, type Unreachable } from "../cluster/processes.ts";
import { version as ownVersion } from "../command.ts";

/** The processes that have a configuration in force. */
export interface InForce {
  /** The number of processes that are known to have it. */
  readonly count: number;
  /** Processes that answer and do not have it in force, with their answers. */
  readonly late: readonly Unreachable[];
  readonly unreachable: readonly Unreachable[];
}

/** A configuration that was written. */
export interface Written {
  readonly hash: string;
  /** The version of the ConfigMap, or of the text that custom resources are. */
  readonly version: string | undefined;
}

const everyMs = 500;

/** Asks again and again until all that answer have the configuration in force, or the time is over. */
export async function watchUntilInForce(question: CommandInput, wanted: Written, timeoutMs: number): Promise<InForce> {
  const { io } = question;
  // By the time that passes: one that does not answer takes seconds to be known as such, each time.
  const end = io.now().getTime() + timeoutMs;
  for (let { processes } = question; ; processes = await question.again()) {
    const { answers, unreachable } = await askAll<ConfigurationAnswer>(processes, "/v1/configuration");
    // A controller that stands by has decided nothing yet.
    const deciding = answers.filter(({ body }) => body.leader !== false);
    const late = deciding
      .filter(({ body }) => !hasInForce(body, wanted))
      .map(({ target, body: { verdict } }) => ({
        target,
        why: isProblem(verdict) ? verdict.message : "it has another configuration in force",
      }));
    const count = deciding.length - late.length;
    const standingBy = answers.filter(({ body }) => body.leader === false);
    if (!deciding.some(({ target }) => target.program === "controller"))
      late.push(...standingBy.map(({ target }) => ({ target, why: "it stands by, and no controller leads" })));
    if ((late.length === 0 && count > 0) || io.now().getTime() >= end) return { count, late, unreachable };
    io.progress(`in force in ${count} of ${deciding.length} processes`);
    await io.sleep(everyMs);
  }
}

/** Processes of another version know other fields, and may have another hash of the same. */
function hasInForce({ version, hash, seen, verdict }: ConfigurationAnswer, wanted: Written): boolean {
  return hash === wanted.hash || (version !== ownVersion && seen === wanted.version && hash !== null && isInForce(verdict));
}
