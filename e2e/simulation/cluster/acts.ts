import type { Backup } from "#e2e/apiserver";
import { describeFault, isFault } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { firstCentral, nameOf } from "#pkg/memberlist/testing";
import type { ApiConnection, ApiWeather } from "./api/api-connection.ts";
import type { ServiceSpec } from "./api/objects.ts";
import { type Act, type Client, ownTeam, withShorterHold } from "./history.ts";
import type { SimulatedCluster } from "./simulated-cluster.ts";

/** The API's contents at one time, and people's wishes at that time. */
export interface DatedBackup {
  readonly at: Millis;
  readonly backup: Backup;
  readonly services: ReadonlyMap<string, ServiceSpec>;
}

export interface ActsOptions {
  readonly cluster: SimulatedCluster;
  /** The cluster's, which acts change. */
  readonly weather: ApiWeather;
  /** So far, in their order. */
  readonly backups: readonly DatedBackup[];
}

// From when a speaker is told to stop to when the one in its place starts.
const rollOutMs: Millis = 4_000;
// How long a rollout waits for a speaker before it goes on with the next.
const maxReadyMs: Millis = 6_000;
// How long the Pod of a Node that is gone stays: the quarantine of the garbage collector of Pods.
const orphanedMs: Millis = 40_000;
// A restored API has written as many again before everybody has asked for its version, unless that is bumped: see docs/operations.md.
const fewWrites = 50;

/** Does to a cluster what a history has. */
export class Acts {
  readonly #options: ActsOptions;
  readonly #usualWeather: ApiWeather;

  constructor(options: ActsOptions) {
    this.#options = options;
    this.#usualWeather = { ...options.weather };
  }

  /** Lets it begin; what lasts ends by itself. */
  do(act: Act): void {
    const { cluster, weather } = this.#options;
    cluster.note(isFault(act) ? describeFault(act, nameOf) : JSON.stringify(act));
    const later = (length: Millis, fn: () => void) => cluster.time.schedule(cluster.now + length, fn);
    /** For a time. */
    const set = (length: Millis, to: (isOn: boolean) => void) => {
      to(true);
      later(length, () => to(false));
    };
    switch (act.type) {
      case "killSpeaker":
      case "powerOff":
      case "stopSpeaker": {
        const speaker = cluster.speakerOf(act.node);
        if (!speaker?.process.isRunning) break;
        if (act.type === "stopSpeaker") void cluster.stopSpeaker(act.node);
        else cluster[act.type](act.node);
        later(act.length, () => {
          if (act.type === "stopSpeaker" && cluster.speakerOf(act.node) === speaker) cluster.killSpeaker(act.node);
          if (!cluster.speakerOf(act.node)?.process.isRunning) cluster.startSpeaker(act.node);
        });
        break;
      }
      case "otherVersion":
        this.#replace(act.node, () => cluster.earlier.add(act.node));
        later(act.length, () => this.#replace(act.node, () => cluster.earlier.delete(act.node)));
        break;
      case "netAdmin": {
        const has = cluster.withoutNetAdmin.has(act.node);
        this.#replace(act.node, () => cluster.setNetAdmin(act.node, has));
        later(act.length, () => this.#replace(act.node, () => cluster.setNetAdmin(act.node, !has)));
        break;
      }
      case "setClock":
        cluster.machines.setClock(act.node, act.seconds * 1000);
        break;
      case "flushFilter":
        cluster.machines.connections(act.node).filter.flush();
        break;
      case "forgetConnections":
        cluster.machines.connections(act.node).known.clear();
        break;
      case "changeMac":
        cluster.machines.changeMac(act.node);
        break;
      case "changeAddress":
        if (act.off !== undefined) this.do({ type: "powerOff", node: act.node, length: act.off });
        cluster.changeAddress(act.node, act.from);
        break;
      case "cutRouter":
        cluster.cutRouter(act.node, act.cut);
        later(act.length, () => cluster.cutRouter(act.node, undefined));
        break;
      case "restartRouter":
        cluster.restartRouter(act.how, act.length, act.takesPaths);
        break;
      case "slowLan":
        cluster.lanConditions.set(act.delayMs, act.duplication);
        later(act.length, () => cluster.lanConditions.set(0, 0));
        break;
      case "stallSpeaker":
        if (cluster.speakerOf(act.node)?.process.isRunning) cluster.stallSpeaker(act.node, act.length);
        break;
      case "stallMainThread":
        cluster.speakerOf(act.node)?.process.stall(act.length);
        break;
      case "endThread": {
        const speaker = cluster.speakerOf(act.node);
        speaker?.setAnswering(false);
        later(act.length, () => speaker?.process.isRunning && speaker.setAnswering(true));
        break;
      }
      case "unplug":
        set(act.length, (isOn) => cluster.machines.setCarrier(act.node, !isOn));
        break;
      case "drain":
        set(act.length, (isOn) => cluster.nodes.setDrained(act.node, isOn));
        break;
      case "cordon":
        set(act.length, (isOn) => cluster.nodes.setCordoned(act.node, isOn));
        break;
      case "outOfService":
        set(act.length, (isOn) => cluster.nodes.setOutOfService(act.node, isOn));
        break;
      case "taint": {
        const taint = { key: act.key, effect: "NoSchedule" };
        set(act.length, (isOn) => cluster.nodes.setTaint(act.node, taint, isOn));
        break;
      }
      case "peerValue":
        set(act.length, (isOn) => cluster.nodes.setPeerValue(act.node, act.field, isOn ? act.value : undefined));
        break;
      case "loseGateway":
        set(act.length, (isOn) => cluster.machines.setGateway(act.node, !isOn));
        break;
      case "changeTeam":
        cluster.people.setTeam(act.to);
        later(act.length, () => cluster.people.setTeam(ownTeam));
        break;
      case "secondNic": {
        const has = cluster.machines.secondNics.has(act.node);
        set(act.length, (isOn) => cluster.machines.setSecondNic(act.node, isOn !== has));
        break;
      }
      case "unplugSecond":
        set(act.length, (isOn) => cluster.machines.setSecondCarrier(act.node, !isOn));
        break;
      case "silence":
        cluster.machines.silent.add(act.node);
        later(act.length, () => cluster.machines.silent.delete(act.node));
        break;
      case "loseSubnet":
        set(act.length, (isOn) => cluster.machines.setSubnet(act.node, !isOn));
        break;
      case "route":
        cluster.machines.setRoute(act.node, { by: act.by });
        later(act.length, () => cluster.machines.setRoute(act.node, undefined));
        break;
      case "breakPath":
        cluster.machines.setPath(act.node, false, "noPodRoute", act.of);
        later(act.length, () => cluster.machines.setPath(act.node, true));
        break;
      case "stopProxy":
        cluster.machines.stoppedProxies.set(act.node, cluster.servedOn(act.node));
        later(act.length, () => cluster.machines.stoppedProxies.delete(act.node));
        break;
      case "exclude":
        set(act.length, (isOn) => cluster.nodes.setExcluded(act.node, isOn));
        break;
      case "edge": {
        const isEdge = cluster.nodes.isEdge(act.node);
        set(act.length, (isOn) => cluster.nodes.setEdge(act.node, isOn !== isEdge));
        break;
      }
      case "deleteNode":
        this.#deleteNode(act);
        break;
      case "restartSpeakers":
        for (const node of act.nodes) this.do({ type: act.inOrder ? "stopSpeaker" : "killSpeaker", node, length: act.length });
        break;
      case "rollOut":
        this.#rollOut(0, cluster.now + act.length);
        break;
      case "switchSource":
        cluster.configSource = cluster.configSource === "crds" ? "configmap" : "crds";
        for (const controller of cluster.controllers.keys()) this.do({ type: "stopController", controller, length: rollOutMs });
        this.#rollOut(0, cluster.now + act.length);
        break;
      case "deleteConfig": {
        const { config } = cluster.people;
        if (config === undefined) break;
        cluster.people.deleteConfig();
        later(act.length, () => cluster.people.config === undefined && cluster.people.setConfig(config, false));
        break;
      }
      case "removePeers": {
        const { config = "" } = cluster.people;
        const [rest = ""] = config.split(/^(?=peers:|---\n.*\nkind: BGPPeer)/m);
        this.#configureFor(act.length, rest);
        break;
      }
      case "configure":
        this.#configureFor(act.length, act.text, act.mayRenumber);
        break;
      case "rotateKey": {
        const others = [...cluster.speakers.keys()].filter((one) => one !== act.node);
        cluster.ring.cutOneWay(others, [act.node]);
        cluster.lan.isWhole = true;
        later(act.length, () => cluster.ring.heal());
        break;
      }
      case "changePeers":
        this.#configureFor(act.length, withShorterHold(cluster.people.config ?? ""));
        break;
      case "deleteLease":
        cluster.people.deleteLease();
        break;
      case "stopController":
        cluster.stopController(act.controller);
        later(act.length, () => {
          cluster.killController(act.controller);
          cluster.startController(act.controller);
        });
        break;
      case "stallController":
        cluster.controllers.get(act.controller)?.process.stall(act.length);
        break;
      case "killController":
        cluster.killController(act.controller);
        later(act.length, () => {
          if (!cluster.controllers.get(act.controller)?.process.isRunning) cluster.startController(act.controller);
        });
        break;
      case "cut": {
        const { centralParts = [] } = act;
        const parts = [...new Set([...act.parts, ...centralParts])].filter((part) => part !== 0);
        const within = (all: readonly number[], part: number, first: number) =>
          all.flatMap((of, index) => (of === part ? [first + index] : []));
        for (const part of parts)
          cluster.ring.cutOff([...within(act.parts, part, 0), ...within(centralParts, part, firstCentral)]);
        cluster.lan.isWhole = act.isLanWhole === true;
        later(act.length, () => cluster.ring.heal());
        break;
      }
      case "attack":
        cluster.lan.attacker.start(act.nodes, act.at, act.holdMs);
        later(act.length, () => cluster.lan.attacker.stop());
        break;
      case "cutOneWay":
        cluster.ring.cutOneWay(act.from, act.to);
        cluster.lan.isWhole = false;
        later(act.length, () => cluster.ring.heal());
        break;
      case "cutApi":
      case "cutControllerApi": {
        const connection = this.#connection("node" in act ? { speaker: act.node } : act);
        if (connection === undefined) break;
        connection.isCut = true;
        later(act.length, () => {
          connection.isCut = false;
        });
        break;
      }
      case "breakWatches":
        this.#connection(act.of)?.breakWatches();
        break;
      case "restartApi":
        cluster.api.endWatches();
        break;
      case "compact":
        cluster.api.compact();
        break;
      case "restore": {
        const backup = this.#options.backups.findLast(({ at }) => at <= cluster.now - act.age);
        if (backup === undefined) break;
        // A process that is cut off meanwhile, and finds as many versions as were lost, cannot know: see docs/operations.md.
        const connections = [...cluster.speakers.values(), ...cluster.controllers.values()].map(({ connection }) => connection);
        const isAnyBehind = connections.some(({ isBehind }) => isBehind);
        for (const connection of connections) connection.isCut = false;
        const lost = cluster.api.writes - backup.backup.writes;
        cluster.restore(backup.backup, backup.services, lost < fewWrites || isAnyBehind);
        break;
      }
      case "occupy":
        cluster.lan.startForeignHost(act.address);
        later(act.length, () => cluster.lan.endForeignHost(act.address));
        if (!act.refusesStatus) break;
        weather.refusesStatus = true;
        later(act.length, () => {
          weather.refusesStatus = false;
        });
        break;
      case "foreignHost": {
        const addresses = [...cluster.owners().keys()].sort();
        const address = addresses[act.choice % addresses.length];
        if (address === undefined) break;
        cluster.lan.startForeignHost(address);
        later(act.length, () => cluster.lan.endForeignHost(address));
        break;
      }
      case "weather":
        Object.assign(weather, act.weather);
        later(act.length, () => Object.assign(weather, this.#usualWeather));
        break;
      case "forbid":
        weather.forbidden = act.what;
        later(act.length, () => {
          weather.forbidden = undefined;
        });
        break;
      case "config":
        cluster.people.setConfig(act.text, act.mayRenumber ?? false);
        break;
      case "service":
        cluster.people.setService(act.name, act.spec);
        break;
      case "families": {
        const spec = cluster.people.services.get(act.name);
        if (spec === undefined || spec.wanted !== undefined || !["lan", "sticky"].includes(spec.pool)) break;
        const { policy, first: firstFamily = spec.firstFamily } = act;
        const of = { isDual: policy !== "SingleStack", prefersDual: policy === "PreferDualStack" };
        cluster.people.setService(act.name, { ...spec, ...of, ...(firstFamily && { firstFamily }) });
        break;
      }
      default:
        act satisfies never;
    }
  }

  /** Puts another text in force, and the present one again after so long, unless somebody changes it meanwhile. */
  #configureFor(length: Millis, text: string, mayRenumber = false): void {
    const { cluster } = this.#options;
    const { config } = cluster.people;
    if (config === undefined || text === config) return;
    cluster.people.setConfig(text, mayRenumber);
    const isInForce = () => cluster.people.config === text;
    cluster.time.schedule(cluster.now + length, () => isInForce() && cluster.people.setConfig(config, mayRenumber));
  }

  #deleteNode({ node, isOff, moves, length }: Act & { type: "deleteNode" }): void {
    const { cluster } = this.#options;
    cluster.nodes.delete(node);
    if (isOff) cluster.powerOff(node);
    if (isOff && moves) cluster.changeAddress(node);
    cluster.time.schedule(cluster.now + orphanedMs, () => {
      if (cluster.nodes.has(node)) return;
      cluster.nodes.deletePod(node);
      if (cluster.speakers.get(node)?.process.isRunning) this.do({ type: "stopSpeaker", node, length: rollOutMs });
    });
    cluster.time.schedule(cluster.now + length, () => {
      cluster.nodes.make(node);
      if (!cluster.speakers.get(node)?.process.isRunning) cluster.startSpeaker(node);
    });
  }

  /** From this node on. */
  #rollOut(node: number, until: Millis): void {
    const { cluster } = this.#options;
    const speaker = cluster.speakers.get(node);
    if (speaker === undefined || cluster.now >= until) return;
    cluster.nodes.deletePod(node);
    if (cluster.nodes.has(node)) cluster.nodes.make(node);
    this.do({ type: "stopSpeaker", node, length: rollOutMs });
    const waitUntil = cluster.now + rollOutMs + maxReadyMs;
    const goOn = () => {
      const isReady = cluster.speakers.get(node) !== speaker && cluster.nodes.isReady(node);
      if (isReady || cluster.now >= waitUntil) this.#rollOut(node + 1, until);
      else cluster.time.schedule(cluster.now + 500, goOn);
    };
    goOn();
  }

  /** The node's speaker gives way to one for which `change` has been made. */
  #replace(node: number, change: () => void): void {
    change();
    this.do({ type: "stopSpeaker", node, length: rollOutMs });
  }

  #connection(of: Client): ApiConnection | undefined {
    if ("speaker" in of) return this.#options.cluster.speakerOf(of.speaker)?.connection;
    return this.#options.cluster.controllers.get(of.controller)?.connection;
  }
}
