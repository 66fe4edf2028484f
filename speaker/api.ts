import type { Bfd } from "#pkg/bfd";
import { type Clock, dateOf } from "#pkg/clock";
import { type Asked, json, type Routes } from "#pkg/http";
import { fingerprint } from "#pkg/live-config";
import { answer, isProblem, type VerdictEntry } from "#pkg/verdict";
import packageJson from "../package.json" with { type: "json" };
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import { currentConflicts } from "./core/conflicts/address-defender.ts";
import { describeConflict } from "./core/conflicts/conflict-reports.ts";
import { describeOccupants } from "./core/conflicts/quarantine.ts";
import { isAnnounced } from "./core/placements.ts";
import type { SpeakerState } from "./core/state.ts";
import { type AddressView, serviceView } from "./core/verdicts/address-verdict.ts";
import type { Members } from "./members/members.ts";
import type { ObjectVerdicts } from "./object-verdicts.ts";
import type { Sources } from "./sources.ts";

export interface ApiOptions {
  readonly state: SpeakerState;
  readonly sources: Pick<Sources, "configuration">;
  readonly objects: Pick<ObjectVerdicts, "look">;
  readonly bgp: Pick<BgpSpeaker, "peers" | "describe">;
  readonly bfd: Pick<Bfd, "describe">;
  readonly members: Pick<Members, "describe">;
  readonly clock: Clock;
}

/**
 * What a speaker answers under `/v1`: the cluster as this node sees it, and what it does itself.
 * `?problems` leaves out what is well, `?service=NAMESPACE/NAME` all other Services.
 */
export function speakerApi({ state, sources, objects, bgp, bfd, members, clock }: ApiOptions): Routes {
  const began = clock.now();
  const date = (at: number) => dateOf(clock, at);
  const self = () => ({ program: "speaker", version: packageJson.version, node: state.node });

  function* services({ query }: Asked) {
    const sessions = new Map(bgp.peers.map((peer) => [peer.key, sessionOf(peer)]));
    const only = query.get("service");
    for (const key of only === null ? state.services.rows.keys() : [only]) {
      if (state.services.rows.get(key)?.service.type !== "LoadBalancer") {
        yield undefined;
        continue;
      }
      const view = serviceView(state, key, sessions, began);
      if (view === undefined || (query.has("problems") && !isProblem(view.verdict))) {
        yield undefined;
        continue;
      }
      const addresses = view.addresses.map((one) => ({ ...placed(one), verdict: answer(one, date) }));
      yield { service: key, addresses, verdict: answer(view, date) };
    }
  }

  function sessionOf({ isEstablished, verdict: { seconds } }: BgpSpeaker["peers"][number]) {
    return { established: isEstablished, since: clock.now() - 1000 * seconds };
  }

  function placed({ address, placement }: AddressView) {
    const { pool = null, protocol = null, owner = null, candidates = [] } = placement ?? {};
    const announced = placement !== undefined && isAnnounced(state, placement);
    return { address: address.toString(), pool, protocol, owner, candidates, announced };
  }

  const pools = () =>
    objects
      .look()
      .pools.map(({ pool: { name, protocol }, ...dated }) => ({ pool: name, protocol, verdict: answer(dated, date) }));

  const peers = () =>
    bgp.peers.map((peer) => {
      const { verdict, seconds } = peer.verdict;
      return { peer: peer.key, verdict: answer({ verdict, since: clock.now() - 1000 * seconds }, date) };
    });

  const configuration = () => {
    const { inForce, verdict, since } = sources.configuration;
    return { hash: inForce === undefined ? null : fingerprint(inForce), verdict: answer({ verdict, since }, date) };
  };

  function* verdicts(asked: Asked): Iterable<VerdictEntry | undefined> {
    const isWanted = ({ verdict }: { readonly verdict: VerdictEntry | ReturnType<typeof answer> }) =>
      !asked.query.has("problems") || isProblem(verdict);
    for (const dated of objects.look().node) yield { kind: "node", name: state.node, ...answer(dated, date) };
    yield { kind: "configuration", name: "configuration", ...configuration().verdict };
    for (const { pool: name, verdict } of pools().filter(isWanted)) yield { kind: "pool", name, ...verdict };
    for (const { peer: name, verdict } of peers().filter(isWanted)) yield { kind: "peer", name, ...verdict };
    for (const one of services(asked)) {
      if (one === undefined) {
        yield undefined;
        continue;
      }
      const { service, verdict, addresses } = one;
      yield { kind: "service", name: service, ...verdict };
      for (const each of addresses.filter(isWanted)) yield { kind: "address", name: each.address, service, ...each.verdict };
    }
  }

  return {
    "/v1/verdicts": (asked) => json({ ...self(), verdicts: verdicts(asked) }),
    "/v1/services": (asked) => json({ ...self(), services: services(asked) }),
    "/v1/pools": () => json({ ...self(), pools: pools() }),
    "/v1/node": () => json({ ...self(), verdicts: objects.look().node.map((dated) => answer(dated, date)) }),
    "/v1/configuration": () => json({ ...self(), ...configuration() }),
    "/v1/members": () => json(members.describe()),
    "/v1/bgp/peers": () => json(bgp.describe()),
    "/v1/bfd/sessions": () => json(bfd.describe()),
    "/v1/conflicts": () => json({ conflicts: currentConflicts(state).map(describeConflict), occupied: describeOccupants(state) }),
  };
}
