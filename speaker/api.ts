import type { Bfd } from "#pkg/bfd";
import { type Clock, dateOf } from "#pkg/clock";
import { formatProtocols } from "#pkg/config";
import { describeRecording, findEntries, type Recorder } from "#pkg/core";
import { json, OneLine, type RouteRequest, type Routes } from "#pkg/http";
import type { KernelKeeper } from "#pkg/kernel";
import { configurationAnswer } from "#pkg/live-config";
import { parseAddress } from "#pkg/net";
import { answer, brief, isProblem, staysWhole, type VerdictEntry } from "#pkg/verdict";
import packageJson from "../package.json" with { type: "json" };
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import { type AddressView, commonInputs, type ServiceView, type SessionState, type SpeakerView } from "./core/index.ts";
import { describeKernel } from "./kernel.ts";
import type { Members } from "./members/members.ts";
import type { ObjectVerdicts } from "./object-verdicts.ts";
import type { Attempt, Prober } from "./prober.ts";
import type { SelfTest } from "./self-test.ts";
import type { Sources } from "./sources.ts";

export interface ApiOptions {
  readonly view: SpeakerView;
  readonly sources: Pick<Sources, "configuration">;
  readonly objects: Pick<ObjectVerdicts, "node" | "pools">;
  readonly bgp: Pick<BgpSpeaker, "peers" | "describe">;
  readonly bfd: Pick<Bfd, "describe">;
  readonly kernel: Pick<KernelKeeper, "restored" | "interfaces" | "status">;
  readonly members: Pick<Members, "describe">;
  /** Resources that have to be seen before anything is announced, and, later, the ring where it was lost. */
  readonly missing: () => readonly string[];
  readonly recorder: Recorder;
  readonly selfTest: Pick<SelfTest, "tried">;
  readonly prober: Pick<Prober, "probe" | "round" | "isBusy">;
  readonly clock: Clock;
}

/**
 * Answers of a speaker under `/v1`: the cluster as this node sees it, and its own work. `?problems` leaves out what is well,
 * `?service=NAMESPACE/NAME` all other Services, with `?problems` and `?own` not those that no other speaker of a large ring says it announces, and `?brief` details of Services that a list does not show; `=names` all but the names of those
 * that are well. `?via=NODE` leaves out all addresses but those for which a central speaker leads routers to the node.
 */
export function speakerApi(options: ApiOptions): Routes {
  const { view, sources, objects, bgp, bfd, kernel, members, missing, recorder, selfTest, prober, clock } = options;
  const date = (at: number) => dateOf(clock, at);
  const self = () => ({ program: "speaker", version: packageJson.version, node: view.node });

  /** @param well gets the names of Services that are listed by these alone */
  function* services({ query }: RouteRequest, well?: string[]) {
    const sessions = new Map(bgp.peers.map((peer) => [peer.key, sessionOf(peer)]));
    const only = query.get("service");
    for (const key of view.loadBalancers(only === null ? undefined : [only])) {
      const found = key === undefined ? undefined : ledTo(query.get("via"), view.service(key, sessions, only !== null));
      if (key === undefined || found === undefined || !isAskedFor(query, found)) {
        yield undefined;
        continue;
      }
      const isWell = [found, ...found.addresses].every(({ verdict }) => verdict.state === "Announced");
      if (well !== undefined && isWell) {
        well.push(key);
        yield undefined;
        continue;
      }
      const addresses = found.addresses.map((one) => ({ ...placed(one), verdict: answer(one, date) }));
      const endpoints = only === null ? undefined : view.endpoints(key);
      yield { service: key, addresses, endpoints, verdict: answer(found, date) };
    }
  }

  /** The Service with only the addresses for which routers are led to the node; undefined where it has no such address. */
  const ledTo = (node: string | null, found: ServiceView | undefined): ServiceView | undefined => {
    if (node === null || found === undefined) return found;
    const isLed = ({ address }: AddressView) => view.probePlan(address).nextHops.some((hop) => hop.node === node);
    const addresses = found.addresses.filter(isLed);
    return addresses.length === 0 ? undefined : { ...found, addresses };
  };

  const isAskedFor = (query: RouteRequest["query"], { verdict, addresses }: ServiceView): boolean =>
    !query.has("problems") ||
    isProblem(verdict) ||
    (query.has("own") && view.isRingLarge && addresses.some(({ placement }) => placement?.owner === view.node));

  function* briefServices(asked: RouteRequest, well?: string[]) {
    for (const one of services(asked, well)) {
      if (one === undefined || staysWhole(asked.query, one.verdict)) {
        yield one && new OneLine(one);
        continue;
      }
      const addresses = one.addresses.map(({ candidates: _, ...each }) => ({ ...each, verdict: brief(each.verdict) }));
      yield new OneLine({ ...one, addresses, verdict: brief(one.verdict) });
    }
  }

  function sessionOf(peer: BgpSpeaker["peers"][number]): SessionState {
    const { verdict, seconds } = peer.verdict;
    const { unsendable } = peer;
    return {
      established: peer.isEstablished,
      since: clock.now() - 1000 * seconds,
      message: verdict.message,
      standing: (prefix) => peer.routes.standing(prefix),
      notCarriedSince: (family) => {
        const found = unsendable.find((one) => one.family === family);
        return found && clock.now() - 1000 * found.seconds;
      },
    };
  }

  function placed({ address, placement }: AddressView) {
    const { pool = null, protocol = null, owner = null, candidates = [] } = placement ?? {};
    const announced = placement !== undefined && view.isAnnounced(placement);
    return { address: address.toString(), pool, protocol, owner, candidates, announced };
  }

  function* pools() {
    for (const { pool, ...dated } of objects.pools()) {
      const slots = view.ownSlots(pool).map((slot) => ({ address: slot.toString(), node: view.node }));
      const own = { pool: pool.name, protocol: formatProtocols(pool.protocols), verdict: answer(dated, date) };
      yield pool.nextHopSlots.length === 0 ? own : { ...own, slots };
    }
  }

  const peers = () =>
    bgp.peers.map((peer) => {
      const { verdict, seconds } = peer.verdict;
      const { key, name } = peer;
      return { peer: key, peerName: name, verdict: answer({ verdict, since: clock.now() - 1000 * seconds }, date) };
    });

  const reachability = () => {
    const known = view.reachability;
    if (known === undefined) return null;
    const interfaces = [...known.interfaces].map(([name, subnets]) => [name, subnets.map(String)]);
    return { answers: known.answers, hasKernelAccess: known.hasKernelAccess, interfaces: Object.fromEntries(interfaces) };
  };

  const configuration = () => configurationAnswer(sources.configuration, date);

  function* verdicts(asked: RouteRequest): Iterable<VerdictEntry | undefined> {
    const isWanted = ({ verdict }: { readonly verdict: VerdictEntry | ReturnType<typeof answer> }) =>
      !asked.query.has("problems") || isProblem(verdict);
    for (const dated of objects.node()) yield { kind: "node", name: view.node, ...answer(dated, date) };
    yield { kind: "configuration", name: "configuration", ...configuration().verdict };
    for (const one of pools()) yield isWanted(one) ? { kind: "pool", name: one.pool, ...one.verdict } : undefined;
    for (const { peer: name, peerName, verdict } of peers().filter(isWanted)) yield { kind: "peer", name, peerName, ...verdict };
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

  const recording = ({ query }: RouteRequest) => {
    const about = query.get("about");
    const entries = about === null ? describeRecording(recorder) : { found: findEntries(recorder, about, commonInputs, date) };
    return { ...self(), options: view.options, epoch: date(0), ...entries };
  };

  const handovers = () => ({
    failures: Object.fromEntries(view.handoverFailures),
    current: view.handovers.map((one) => ({ ...one, since: date(one.since), until: date(one.until) })),
    served: view.served.map(({ address, flows = null, until }) => ({ address, connections: flows, until: date(until) })),
  });

  const attempt = (one: Attempt) => {
    if ("why" in one) return one;
    const { address, owner, port = null, interface: link, isRouted = false, answer: heard } = one.tested;
    const { macs, connection = null, largest = null } = heard;
    const fault = view.wireVerdict(one.tested);
    const verdict = fault === undefined ? null : answer({ verdict: fault, since: clock.now() }, date);
    const answeredBy = macs.map((mac) => ({ mac, node: view.nodeOfMac(mac) ?? null }));
    return { address: address.toString(), owner, isRouted, interface: link, port, answeredBy, connection, largest, verdict };
  };

  /** `?address=` tries one at once; `?from=` a part of all. */
  const probe = async ({ query }: RouteRequest) => {
    const [address, from] = [parseAddress(query.get("address") ?? ""), Number(query.get("from") ?? Number.NaN)];
    const isRound = Number.isInteger(from) && from >= 0;
    const refused = prober.isBusy ? "another question is being answered: ask again" : "address= has to be an IP address";
    if (prober.isBusy || (address === undefined && !isRound)) return { ...self(), why: refused };
    if (address !== undefined) {
      const { attempts, own, isHere, nextHops, why } = await prober.probe(address);
      const hops = nextHops.map((hop) => ({ address: `${hop.address}`, node: hop.node ?? null }));
      const found = { attempts: attempts.map(attempt), isHere, nextHops: hops, own: own ?? null };
      return { ...self(), ...found, ...(why !== "" && { why }) };
    }
    const { attempts, next = null } = await prober.round(from);
    const all = attempts.map(attempt);
    const faults = all.filter((one) => "verdict" in one && one.verdict !== null);
    return { ...self(), tried: all.filter((one) => "verdict" in one).length, faults, next, of: view.placedCount };
  };

  return {
    "/v1/verdicts": json((asked) => ({ ...self(), selfTested: selfTest.tried, verdicts: verdicts(asked) })),
    "/v1/services": json((asked) => {
      const well: string[] | undefined = asked.query.get("brief") === "names" ? [] : undefined; // Filled while the others are read.
      return {
        ...self(),
        missing: view.isPlaced ? [] : missing(),
        apiViewOld: view.isOutdated || undefined,
        via: asked.query.get("via") ?? undefined,
        services: asked.query.has("brief") ? briefServices(asked, well) : services(asked),
        well,
      };
    }),
    "/v1/pools": json(() => ({ ...self(), pools: pools() })),
    "/v1/node": json(() => {
      const verdicts = objects.node().map((dated) => answer(dated, date));
      return { ...self(), reachability: reachability(), verdicts };
    }),
    "/v1/configuration": json(() => ({ ...self(), ...configuration() })),
    "/v1/members": json(() => members.describe()),
    "/v1/bgp/peers": json(() => bgp.describe()),
    "/v1/bfd/sessions": json(() => bfd.describe()),
    "/v1/recorder": json((asked) => recording(asked)),
    "/v1/kernel": json(() => ({ ...self(), ...describeKernel(view, kernel, clock) })),
    "/v1/probe": json((asked) => probe(asked)),
    "/v1/handovers": json(() => ({ ...self(), ...handovers() })),
    "/v1/conflicts": json(() => ({
      conflicts: view.describeConflicts(),
      occupied: Array.from(view.occupants, ([address, occupant]) => ({ address, ...occupant })),
    })),
  };
}
