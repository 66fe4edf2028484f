import { LastingWrongs } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import type { SessionSettings } from "#pkg/config";
import { isByBgp } from "#pkg/placement";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";

// The router looks at its hold timers every second.
const noticeMs: Millis = 1_500;
// From when a speaker and the router can reach one another again: a session that was established before is tried again every 2 s.
const returnMs: Millis = 15_000;

/** Promise 3: the router has no route through a node that is gone, and has one through each that can carry it, also while speakers are replaced. */
export class Routes {
  readonly #missing = new LastingWrongs(); // Which routes.
  readonly #established = new WeakSet<SessionSettings>(); // of sessions that there were: others are tried more and more seldom, up to every two minutes

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const { now, router, routing } = cluster;
    if (routing.mistaken !== undefined) return `the router takes ${routing.mistaken} for failed: it gave BFD up while BGP was up`;
    const routes = router.routes();
    for (const [prefix, neighbors] of routes)
      for (const neighbor of neighbors) {
        const lost = cluster.lost(neighbor);
        if (lost !== undefined && now - lost.since > lost.within + noticeMs)
          return `the router has a route to ${prefix} through ${neighbor}, which is gone since ${lost.since} ms`;
      }
    const missing: string[] = [];
    for (const [node, speaker] of [...cluster.speakers, ...cluster.centralSpeakers]) {
      if (!speaker.process.isRunning || speaker.process.isStalled) continue;
      const neighbor = cluster.neighborOf(node);
      const wanted = advertisedBy(speaker);
      // A router may have routes of the process before.
      const { bgpSettings } = speaker;
      if (bgpSettings === undefined) continue;
      if (wanted.some((prefix) => router.isFresh(prefix, neighbor))) this.#established.add(bgpSettings);
      if (!this.#established.has(bgpSettings) || !cluster.reachesRouter(node)) continue;
      for (const prefix of wanted) if (!routes.get(prefix)?.includes(neighbor)) missing.push(`${prefix} through ${neighbor}`);
    }
    for (const [route, { since, lasted }] of this.#missing.at(now, missing))
      if (lasted > returnMs) return `the router has no route to ${route} since ${since} ms`;
    return undefined;
  }
}

/** The prefixes that a speaker means to advertise to a router that it knows. */
function advertisedBy({ state }: SpeakerProcess): string[] {
  if (!state.bgp.peers.some(({ peer }) => peer.refusal === undefined && peer.address !== undefined)) return [];
  const routes = [...state.placements.values()].flat().flatMap((placement) => (isByBgp(placement) ? placement.routes : []));
  return [...new Set(routes.map(({ prefix }) => `${prefix}`))];
}
