import type { MemberState, Versions } from "../messages.ts";
import type { NodeRecord } from "./ring.ts";

/**
 * Whether all nodes of two views can speak to one another. Peers refuse an exchange otherwise, without saying so, so that it must be
 * checked here too. What is spoken has to lie in what all the living understand, also for the dead.
 * @returns the reason, undefined when they can
 */
export function versionProblem(received: readonly MemberState[], own: readonly NodeRecord[]): string | undefined {
  const all = [...received, ...own];
  const living = all.filter(({ status }) => status === "alive").map(({ versions }) => versions);
  for (const [what, at] of [["protocol", 0] as const, ["delegate", 3] as const]) {
    const low = living.reduce((most, versions) => Math.max(most, versions[at]), 0);
    const high = living.reduce((least, versions) => Math.min(least, versions[(at + 1) as 1 | 4]), 255);
    const current = (versions: Versions) => versions[(at + 2) as 2 | 5];
    const misfit = all.find(({ versions }) => current(versions) < low || current(versions) > high);
    if (misfit !== undefined)
      return `node speaks a ${what} version outside ${low} to ${high}: ${misfit.node} speaks ${current(misfit.versions)}`;
  }
  return undefined;
}
