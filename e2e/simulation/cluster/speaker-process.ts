import type { Bfd } from "#pkg/bfd";
import { PeerSession } from "#pkg/bgp";
import type { Incoming, SimulatedNetwork } from "#pkg/bgp/testing";
import { type Clock, type Millis, Portions } from "#pkg/clock";
import type { SessionSettings } from "#pkg/config";
import { CoreRunner, Recorder } from "#pkg/core";
import { isCentral } from "#pkg/gossip";
import { HandoverKeeper } from "#pkg/handover";
import type { Routes } from "#pkg/http";
import { resources } from "#pkg/k8s";
import { Cluster } from "#pkg/k8s/testing";
import type { AddressSighting, InterfaceState } from "#pkg/layer2";
import { silentLog } from "#pkg/log/testing";
import { MetadataKey } from "#pkg/memberlist";
import { addressOf, type Effect, nameOf, type Simulation } from "#pkg/memberlist/testing";
import { KubernetesMetrics, Registry } from "#pkg/metrics";
import { type Address, parseAddress } from "#pkg/net";
import { classlessOnly } from "#pkg/service";
import { speakerApi } from "../../../speaker/api.ts";
import { BgpSpeaker } from "../../../speaker/bgp/bgp-speaker.ts";
import { watchSessions } from "../../../speaker/bgp/session-watch.ts";
import { carryOut, mayWrite, written } from "../../../speaker/carry-out.ts";
import { ConfigMapWriter } from "../../../speaker/config-map-writer.ts";
import { ConnectionTester, connectMs } from "../../../speaker/connection-tester.ts";
import {
  type ConnectionResult,
  type HealthAnswer,
  type PathFaults,
  type SpeakerEvent,
  SpeakerView,
} from "../../../speaker/core/index.ts";
import type { OwnNodeRule } from "../../../speaker/core/members/node-state.ts";
import { type SpeakerRunner, speakerCore } from "../../../speaker/core/replay.ts";
import { type AnnounceFor, createState, type SpeakerState } from "../../../speaker/core/state.ts";
import { Faults } from "../../../speaker/faults.ts";
import { macsOf } from "../../../speaker/members/macs.ts";
import type { Members } from "../../../speaker/members/members.ts";
import { PodMembers } from "../../../speaker/members/pod-members.ts";
import type { LargeRing } from "../../../speaker/members/ring/state.ts";
import { RingMembers } from "../../../speaker/members/ring-members.ts";
import { registerTimings } from "../../../speaker/metrics.ts";
import { ObjectVerdicts } from "../../../speaker/object-verdicts.ts";
import { nodeFactsOf, whatIsMissing } from "../../../speaker/routes.ts";
import { Sources } from "../../../speaker/sources.ts";
import { UnassignedServices } from "../../../speaker/unassigned-services.ts";
import type { ApiConnection } from "./api/api-connection.ts";
import { apiAddress, namespace, reachedAddress, routerAddress } from "./api/objects.ts";
import type { ConfigSource } from "./history.ts";
import { FlowCounter, type MachineConnections } from "./network/machine-connections.ts";
import { type NicAddresses, NicKeeper } from "./network/nic-addresses.ts";
import { type LanActions, SimulatedLayer2 } from "./network/simulated-layer2.ts";
import { SimulatedListener } from "./network/simulated-listener.ts";
import { SimulatedMemberlist } from "./simulated-memberlist.ts";
import type { SimulatedProcess, Time } from "./simulated-process.ts";

export interface SpeakerProcessOptions {
  readonly index: number;
  readonly process: SimulatedProcess;
  readonly connection: ApiConnection;
  readonly ring: Simulation;
  readonly lan: LanActions;
  /** Of its machine. */
  readonly nicAddresses: NicAddresses;
  readonly connections: MachineConnections;
  readonly time: Time;
  /** By which its BGP sessions dial. */
  readonly bgp: ReturnType<SimulatedNetwork["transport"]>;
  /** Routers may connect to it. */
  readonly takesConnections: boolean;
  readonly bfd: Pick<Bfd, "watch">;
  /** The node's MAC address. */
  readonly mac: string;
  /** No two processes have the same. */
  readonly life: number;
  /** Its formats on the ring are those of the version before heartbeats and views of the API. */
  readonly isEarlier: boolean;
  readonly configSource: ConfigSource | undefined;
  readonly hasRing: boolean;
  /** When it follows its own Node alone. */
  readonly ownNode: OwnNodeRule;
  /** From when its ring counts as a large one. */
  readonly largeRing: LargeRing;
  /** It may put addresses on its machine's NIC. */
  readonly hasNetAdmin: boolean;
  /** Its ring watches others by BFD: always, never, or as the configuration says. */
  readonly keepsPaths: boolean | "asConfigured";
  /** The longest that its main thread takes between two turns of work. */
  readonly maxTurnMs: Millis;
  /** Its machine's NICs beside the one on the LAN. */
  readonly otherNics: readonly InterfaceState[];
  /** Whether its machine's NIC has addresses on the LAN. */
  readonly hasSubnet: () => boolean;
  /** The NIC by which its machine reaches `reachedAddress`; undefined for none. */
  readonly route: () => string | undefined;
  /** Whether its machine has a default route, by way of the router. */
  readonly hasGateway: () => boolean;
  /** The longest that each of its threads takes to start. */
  readonly startDelayMs: Millis;
  /** The Services of which its node's kube-proxy knows a Pod there, by their health check ports; undefined where nobody asks. */
  readonly servedHere: (() => ReadonlySet<string>) | undefined;
  /** Whether a connection by its node's kernel to a cluster IP is answered; undefined where nobody tries. */
  readonly connects: ((clusterIP: string) => boolean) | undefined;
  readonly record: (line: string) => void;
  /** Told when it begins or ends to announce an address. */
  readonly onMove: (address: string, on: boolean) => void;
  /** Told what its core gets and answers. */
  readonly onStep: SpeakerRunner["onStep"];
  readonly announceFor: AnnounceFor;
  /** Whether it records Events of its Node. */
  readonly hasNodeEvents: boolean;
}

const healthPortsEveryMs: Millis = 1_000;
// The kernel of a speaker that lacks the capability NET_ADMIN: it fulfils no wishes.
const noKernel = { want: () => {}, complete: () => {} };
const noFilter = { change: () => 1, query: () => undefined };

/**
 * A speaker as `speaker/main.ts` builds it. Its core, sources, members, gossip and BGP sessions are the real ones; the ring's protocol is
 * too, on simulated packets. A record of answered addresses stands in for the layer 2 thread, and a record of the machine's NIC addresses
 * for netlink. It has no node checks.
 */
export class SpeakerProcess {
  readonly process: SimulatedProcess;
  readonly connection: ApiConnection;
  readonly state: SpeakerState;
  readonly layer2: SimulatedLayer2;
  readonly nicAddresses: NicAddresses;
  readonly hasNetAdmin: boolean;
  /** In simulated time. */
  readonly startedAt: Millis;
  readonly #options: SpeakerProcessOptions;
  readonly #runner: SpeakerRunner;
  readonly #members: Members;
  readonly #sources: Sources;
  #routes: Routes | undefined; // Few are asked.
  readonly #bgp: BgpSpeaker;
  readonly #listener: SimulatedListener;
  readonly #nic: NicKeeper;
  readonly #configMaps: ConfigMapWriter;
  readonly #handovers: HandoverKeeper;
  readonly #memberlist: SimulatedMemberlist | undefined; // Undefined without a ring.
  /** By which it dialed last, or its router connected: others for each session that does not follow the one before. */
  bgpSettings: SessionSettings | undefined;
  /** Octets of all user messages that it has made. */
  octetsBroadcast = 0;
  /** An address of which it told others that it owns it, while it did not announce it. */
  falselyOwned: string | undefined;
  /** It ends in an orderly way. */
  isStopping = false;
  #mac: string;
  #isWatching = false;
  #hasCarrier = true;
  #answers = true;
  #otherNics: readonly InterfaceState[];
  #followsRoute = false;
  #followsGateways = false;
  #apiLostSince: Millis = Infinity;

  constructor(options: SpeakerProcessOptions) {
    const { index, process, connection, bgp, bfd, life, isEarlier, hasRing, announceFor, record } = options;
    this.#mac = options.mac;
    this.#otherNics = options.otherNics;
    this.#options = options;
    this.nicAddresses = options.nicAddresses;
    this.hasNetAdmin = options.hasNetAdmin;
    this.startedAt = options.ring.now;
    this.process = process;
    this.connection = connection;
    const { clock, random } = process;
    const node = nameOf(index);
    const log = silentLog;
    const startMs = () => (options.startDelayMs === 0 ? 0 : random() * options.startDelayMs);
    this.layer2 = new SimulatedLayer2({
      process,
      ring: options.ring,
      lan: options.lan,
      mac: () => this.#mac,
      onMove: options.onMove,
      onSighting: (sighting) => this.see(sighting),
    });
    const cluster = new Cluster({ [Symbol.dispose]: () => {} }, connection, { log, clock, random });
    this.#runner = new CoreRunner(speakerCore, clock, random);
    this.#nic = new NicKeeper(options.nicAddresses, process, options.time, () =>
      process.at(options.ring.now, () => this.#interfaceChanged()),
    );
    this.#runner.onStep = options.onStep;
    this.state = createState({ node, ignoreExcludeLabel: false, hasRing, ownNode: options.ownNode, announceFor });
    const portions = new Portions(clock, 4);
    const emit = this.#runner.dispatch;
    // Reports of the ring's thread wait for the main thread, which may stand still.
    const memberlist = new SimulatedMemberlist({
      simulation: options.ring,
      index,
      life,
      isEarlier,
      clock,
      metadata: new Map([
        [MetadataKey.macs, macsOf(announceFor === "all" ? [] : [this.#interface])],
        ...(isEarlier ? [] : [[MetadataKey.starting, new Uint8Array()] as const]),
      ]),
      startMs: startMs(),
      onMainThread: (fn) => process.at(options.ring.now, fn),
      onBroadcast: (octets) => {
        this.octetsBroadcast += octets;
      },
    });
    const labels = "component=speaker";
    this.#memberlist = hasRing ? memberlist : undefined;
    const ringMembers = new RingMembers({
      memberlist,
      keys: undefined,
      metadata: memberlist.metadata,
      gossip: this.state.members.gossip,
      cluster,
      namespace,
      labels,
      node,
      emit,
      large: options.largeRing,
      log,
      clock,
      random,
    });
    this.#members = hasRing ? ringMembers : new PodMembers({ cluster, namespace, labels, emit });
    this.#listener = new SimulatedListener((peer) => {
      this.bgpSettings = peer;
    });
    this.#bgp = new BgpSpeaker({
      newSession: ({ key: _key, restarting, ...session }) =>
        new PeerSession({
          ...session,
          node,
          restarting,
          forwardingPreserved: true,
          clock,
          random,
          transport: {
            ...bgp,
            dial: (peer, events) => {
              this.bgpSettings = peer;
              return bgp.dial(peer, events);
            },
          },
          listener: options.takesConnections ? this.#listener : undefined,
          portions,
          log,
        }),
      secrets: { watch: () => {}, get: () => ({ missing: "there are no Secrets" }) },
      discovery: {
        watch: () => {},
        on: (name) => ({ router: { missing: `no router is simulated on ${name}` }, others: [] }),
        interfacesChanged: () => {},
      },
      bfd,
      sourceTo: () => undefined,
      portions,
      clock,
      log,
    });
    this.#sources = new Sources({
      cluster,
      namespace,
      node,
      hasNodeAddresses: announceFor === "all",
      configMap: "config",
      configSource: options.configSource ?? "configmap",
      classes: classlessOnly,
      metrics: new KubernetesMetrics(new Registry()),
      emit: (event) => {
        if (event.type === "apiLost") this.#apiLostSince = event.since;
        // A core that leaves to others what it does not see would have to tell them.
        if (event.type !== "apiLost" || !isEarlier) emit(event);
      },
      clock,
      random,
      log,
    });
    this.#handovers = new HandoverKeeper({
      kernel: this.hasNetAdmin ? options.connections.filter : noFilter,
      read: () => "",
      onFailures: (failures) => emit({ type: "handoverFailures", failures }),
      onInherited: (inherited) => emit({ type: "inherited", inherited }),
      log,
      clock,
    });
    this.#configMaps = new ConfigMapWriter({
      cluster,
      namespace,
      log,
      mayWrite: mayWrite(this.state),
      onWritten: written(process.name, emit),
      clock,
      random,
    });
    const view = new SpeakerView(this.state);
    const tester = options.connects && newTester(options.connects, view, clock, emit);
    const looked = Promise.withResolvers<void>();
    const drivers = {
      runner: this.#runner,
      layer2: this.layer2,
      configMaps: this.#configMaps,
      bgp: this.#bgp,
      followedRoutes: {
        follow: ({ addresses, gateways }: { readonly addresses: readonly Address[]; readonly gateways: boolean }) => {
          if (gateways !== this.#followsGateways) process.at(options.ring.now, () => this.gatewaysChanged());
          this.#followsGateways = gateways;
          const isFollowed = addresses.some((address) => `${address}` === reachedAddress);
          if (isFollowed === this.#followsRoute) return;
          this.#followsRoute = isFollowed;
          process.at(options.ring.now, () => this.routesChanged());
        },
      },
      toldInterfaces: { name: () => {} },
      kernel: this.hasNetAdmin ? this.#nic : noKernel,
      handovers: this.#handovers,
      flowCounter: new FlowCounter(options.connections, process, options.time, (counts) => emit({ type: "flows", counts })),
      members: this.#members,
      fastPath: {
        configure: (intervalMs: Millis | undefined) =>
          this.#memberlist?.keepPaths(options.keepsPaths === "asConfigured" ? intervalMs !== undefined : options.keepsPaths),
      },
      nodePaths: undefined,
      sources: this.#sources,
      dataPath: {
        start: () =>
          process.at(options.ring.now, () => {
            if (options.servedHere !== undefined) this.#askHealthPorts(options.servedHere, 0);
            looked.resolve();
          }),
        looked: looked.promise,
        tryFirst: (effect: Parameters<ConnectionTester["tryFirst"]>[0]) => void tester?.tryFirst(effect),
      },
      checks: { changed: () => {} },
      events: {
        record: (about: { namespace: string; name: string }, type: string, reason: string, message: string) =>
          process.isRunning && record(`${process.name}: ${about.namespace}/${about.name}: ${type} ${reason}: ${message}`),
      },
      timings: registerTimings(new Registry()),
      log,
    };
    this.#runner.start(this.state, (effect) => {
      if (effect.type === "setGossip") this.#noteFalselyOwned();
      if (effect.type === "wake") this.#takeTurn(random() * options.maxTurnMs);
      else carryOut(drivers, effect);
    });
    if (!this.hasNetAdmin) emit({ type: "kernel", failure: "the process needs the capability NET_ADMIN", problems: new Map() });
    const watching = startMs();
    if (watching === 0) this.#watchInterfaces();
    else process.at(options.ring.now + watching, () => this.#watchInterfaces());
    this.#sources.start(resources.endpointSlices);
    watchSessions({ bgp: this.#bgp, emit, clock });
    tester?.start();
    // Faults that Services suffer from stay here: of the node's settings none is simulated.
    const ofNode = { node, bgp: this.#bgp, checks: { findings: [] }, events: drivers.events, emit: () => {}, clock };
    if (!options.hasNodeEvents) return;
    new Faults({ ...ofNode, objects: this.#judge(view) }).start();
    new UnassignedServices({ view, cluster, namespace, lease: "controller", events: drivers.events, clock }).start();
  }

  get announced(): Set<string> {
    return this.layer2.announced;
  }

  /** Addresses that each node has in its kernel by itself. */
  get routed(): ReadonlySet<string> {
    return this.#nic.routed;
  }

  get leftToKernel(): Set<string> {
    return this.layer2.leftToKernel;
  }

  /** The node's kernel brings packets to Pods, as its settings say, or it does not. */
  setPath(faults: PathFaults): void {
    this.#runner.dispatch({ type: "dataPath", faults, hasPods: true });
  }

  /** The router connects to it. */
  accept(incoming: Incoming): void {
    const { ring } = this.#options;
    this.process.at(ring.now, () => this.#listener.accept(routerAddress, incoming));
  }

  /** Its answers under `/v1`. */
  get routes(): Routes {
    this.#routes ??= this.#newRoutes();
    return this.#routes;
  }

  /** Whether it may be counted on: as `/readyz` says. */
  get isReady(): boolean {
    const missing = () => whatIsMissing(this.#sources, new SpeakerView(this.state), this.#members);
    return this.process.isRunning && this.process.observe(missing).length === 0;
  }

  /** Its formats on the ring are those of the version before. */
  get isEarlier(): boolean {
    return this.#options.isEarlier;
  }

  /** Why it waits for the other speakers; undefined where it does not. */
  get ringProblem(): string | undefined {
    return this.#members.problem;
  }

  /** All gossip that it has. */
  get gossip(): Uint8Array {
    return this.#memberlist?.delegate.state() ?? new Uint8Array();
  }

  /** Whether it sees nothing of what changes in the API, and knows that or not. */
  get hasLostApi(): boolean {
    return this.connection.isCut || this.#apiLostSince !== Infinity;
  }

  /** The nodes that are members as far as it knows; while it follows its node to another address, those that were before too. */
  get members(): readonly string[] {
    return this.#memberlist?.members().map(({ name }) => name) ?? this.state.members.active;
  }

  setCarrier(running: boolean): void {
    this.#hasCarrier = running;
    this.#interfaceChanged();
  }

  /** Its thread that answers on the LAN runs, or does not. */
  setAnswering(answers: boolean): void {
    this.#answers = answers;
    this.#interfaceChanged();
  }

  setOtherNics(nics: readonly InterfaceState[]): void {
    this.#otherNics = nics;
    this.#interfaceChanged();
  }

  /** Its machine reaches `reachedAddress` by another NIC than before. */
  routesChanged(): void {
    const nic = this.#followsRoute ? this.#options.route() : undefined;
    this.#runner.dispatch({ type: "routes", interfaces: new Map(nic === undefined ? [] : [[reachedAddress, nic]]) });
  }

  /** Its machine has another default route than before, or none. */
  gatewaysChanged(): void {
    const isThere = this.#followsGateways && this.#options.hasGateway();
    const gateway = { address: parseAddress(routerAddress) as Address, interface: "eth0", metric: 100 };
    this.#runner.dispatch({ type: "gateways", gateways: { IPv4: isThere ? [gateway] : [], IPv6: [] } });
  }

  get mac(): string {
    return this.#mac;
  }

  setMac(mac: string): void {
    this.#mac = mac;
    this.#interfaceChanged();
  }

  /** The node has another address. */
  addressChanged(): void {
    this.#interfaceChanged();
  }

  see(sighting: Pick<AddressSighting, "address" | "mac" | "kind">): void {
    const own = { interface: "eth0", ownMac: this.#mac };
    this.process.at(this.#options.ring.now, () => this.#runner.dispatch({ type: "sighting", sighting: { ...sighting, ...own } }));
  }

  /** Ends as on SIGTERM; answers until its successors do. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.#bgp.leave();
    this.#runner.dispatch({ type: "leaving" });
    await this.#members[Symbol.asyncDispose]();
    this.layer2.end();
    this.#nic.stop();
    this.#handovers[Symbol.dispose]();
    await this.#bgp[Symbol.asyncDispose]();
    this.#runner[Symbol.dispose]();
  }

  /** An effect that this node's ring protocol emitted. */
  onRingEffect(effect: Effect): void {
    this.#memberlist?.onEffect(effect);
  }

  /** Work takes so long, in which the main thread hears of nothing else. */
  #takeTurn(lasts: Millis): void {
    const { process } = this;
    process.stall(lasts);
    process.at(this.#options.ring.now + lasts, () => this.#runner.dispatch({ type: "continue" }));
  }

  /** As `DataPath` does. @param scan the Service to begin with */
  #askHealthPorts(served: () => ReadonlySet<string>, scan: number): void {
    const { process } = this;
    const next = new SpeakerView(this.state).nextHealthPorts(scan, process.clock.now());
    const answers = new Map<string, HealthAnswer>(
      next.ports.map(({ key }) => [key, served().has(key) ? "serves" : "serves none"]),
    );
    const isSame = next.isQuiet && answers.values().every((answer) => answer === "serves");
    if (!isSame) this.#runner.dispatch({ type: "healthPorts", answers });
    process.at(this.#options.ring.now + healthPortsEveryMs, () => this.#askHealthPorts(served, next.scan));
  }

  #judge(view: SpeakerView): ObjectVerdicts {
    const { clock } = this.process;
    const fastPath = { problems: () => [] }; // The ring's paths are simulated, BFD is not.
    const seen = { view, sources: this.#sources, members: this.#members, configMaps: this.#configMaps, fastPath };
    const others = { failed: undefined, checks: { findings: [] }, bfd: { warnings: () => [] } };
    const viewAge = () => view.viewAgeSeconds(clock.now());
    return new ObjectVerdicts({ view, nodeFacts: () => nodeFactsOf({ ...seen, ...others, viewAge }), clock });
  }

  #newRoutes(): Routes {
    const { clock } = this.process;
    const view = new SpeakerView(this.state);
    const kernel = { restored: 0, interfaces: () => [], status: function* () {} };
    const missing = () => whatIsMissing(this.#sources, view, this.#members);
    return speakerApi({
      view,
      sources: this.#sources,
      members: this.#members,
      objects: this.#judge(view),
      bgp: this.#bgp,
      bfd: { describe: () => [] },
      kernel,
      missing,
      recorder: new Recorder(),
      selfTest: { tried: 0 },
      prober: {
        isBusy: false,
        probe: async () => ({ attempts: [], own: undefined, isHere: false, nextHops: [], why: "there is no wire" }),
        round: async () => ({ attempts: [], next: undefined }),
      },
      clock,
    });
  }

  /** The thread that answers on the LAN has started, and tells of its interfaces. */
  #watchInterfaces(): void {
    this.#isWatching = true;
    this.#interfaceChanged();
  }

  #interfaceChanged(): void {
    if (!this.#isWatching) return;
    this.#runner.dispatch({ type: "interfaces", interfaces: [this.#interface, ...this.#otherNics] });
  }

  get #interface(): InterfaceState {
    const { index, ring, nicAddresses, hasSubnet } = this.#options;
    const own = nodeAddresses(ring, index);
    const addresses = [...(hasSubnet() ? own : own.slice(0, 1)), ...nicAddresses.all.map((address) => `${address}/24`)];
    const status = this.#answers ? "answering" : "failing";
    return { index: 2, name: "eth0", mac: this.#mac, status, running: this.#hasCarrier, addresses };
  }

  /** A speaker that has left an address to a node seen on the LAN owns it until that node reports that it answers. */
  #noteFalselyOwned(): void {
    const { conflicts, members, placements } = this.state;
    const node = nameOf(this.#options.index);
    for (const address of placements.keys()) {
      const stage = conflicts.defended.get(address)?.defense.stage;
      if (this.announced.has(address) || stage === "yielded" || stage === "probing") continue;
      if (members.gossip?.owners(address).includes(node)) this.falselyOwned ??= address;
    }
  }
}

function newTester(
  connects: (clusterIP: string) => boolean,
  view: SpeakerView,
  clock: Clock,
  emit: (event: SpeakerEvent) => void,
): ConnectionTester {
  const after = (ms: Millis, result: ConnectionResult) =>
    new Promise<ConnectionResult>((resolve) => clock.schedule("connection", clock.now() + ms, () => resolve(result)));
  const tryToConnect = (host: string) => (connects(host) ? after(1, "answered") : after(connectMs, "silent"));
  return new ConnectionTester({ view, emit, clock, api: { host: apiAddress, port: 443 }, tryToConnect });
}

/** The node's own addresses, with their prefix lengths. A central speaker is not on the LAN. */
export function nodeAddresses(ring: Simulation, node: number): string[] {
  const lan = isCentral(nameOf(node)) ? [] : [`192.0.2.${200 + node}/24`, `2001:db8::${200 + node}/64`];
  return [`${addressOf(ring.hostOf(node))}/16`, ...lan];
}
