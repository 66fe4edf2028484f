import { setImmediate } from "node:timers/promises";
import { SimulatedNetwork, SimulatedRouter } from "#pkg/bgp/testing";
import { type Clock, type Millis, type Random, seededRandom } from "#pkg/clock";
import { Simulation } from "#pkg/memberlist/testing";
import { parseAddress } from "#pkg/net";
import { ApiConnection, type ApiWeather } from "./api-connection.ts";
import { ControllerProcess } from "./controller-process.ts";
import { type Backup, type Change, KubernetesApi, type RawObject } from "./kubernetes-api.ts";
import { keyOf, macOf, namespace, nodeOf, podObject, type ServiceSpec, serviceObject, sliceObject } from "./objects.ts";
import { SimulatedProcess, type Time } from "./simulated-process.ts";
import { SpeakerProcess } from "./speaker-process.ts";

export interface SimulatedClusterOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Of the ring's packets, of 1. */
  readonly loss: number;
  readonly weather: ApiWeather;
  /** The ConfigMap's text at the start. */
  readonly config: string;
  /** Called with each change in the API, and whether people made it. */
  readonly onChange: (change: Change, byPeople: boolean) => void;
}

export const routerAddress = "10.0.255.1";
const controllers = 2;
const stepMs: Millis = 10;
// How long a kubelet takes to report a container that ended, and the cluster a machine.
const containerGoneMs: Millis = 1_500;
const machineGoneMs: Millis = 40_000;
const maxLines = 100_000;

/**
 * A whole cluster in one process and in simulated time: an API with its connections, two controllers, a speaker on each node, their ring, a LAN, and a
 * router. What is not here: containers, the kernel's forwarding, BFD. One seed always gives the same course of events.
 */
export class SimulatedCluster {
  readonly ring: Simulation;
  readonly api: KubernetesApi;
  readonly router: SimulatedRouter;
  readonly speakers = new Map<number, SpeakerProcess>(); // node -> its speaker, ended ones too
  readonly controllers = new Map<number, ControllerProcess>();
  readonly services = new Map<string, ServiceSpec>(); // name -> what people want
  /** What happened, for people: `seconds what`. */
  readonly lines: string[] = [];
  readonly withoutCarrier = new Set<number>();
  readonly excluded = new Set<number>(); // nodes with the label that excludes them
  readonly time: Time;
  readonly #options: SimulatedClusterOptions;
  readonly #random: Random;
  readonly #networks = new Map<number, SimulatedNetwork>(); // node -> its way to the router
  readonly #clock: Clock;
  #isBusy = false; // Promises may wait for what happened.
  #byPeople = false;
  #starts = 0;
  #routesLostAt = new Map<number, Millis>(); // node -> since when it does not run

  constructor(options: SimulatedClusterOptions) {
    const { seed, loss, onChange } = options;
    this.#options = options;
    this.#random = seededRandom(seed);
    this.ring = new Simulation({
      seed: seed + 1,
      loss,
      onEffect: (node, effect) => {
        this.#isBusy = true;
        const speaker = this.speakers.get(node);
        if (speaker?.process.isRunning) speaker.onRingEffect(effect);
      },
    });
    const { ring } = this;
    this.time = {
      get now() {
        return ring.now;
      },
      schedule: (at, fn) =>
        ring.schedule(Math.max(at, ring.now), () => {
          this.#isBusy = true;
          fn();
        }),
    };
    this.#clock = {
      now: () => ring.now,
      schedule: (_name, at, fn) => {
        let isCancelled = false;
        this.time.schedule(at, () => isCancelled || fn());
        return {
          [Symbol.dispose]: () => {
            isCancelled = true;
          },
        };
      },
    };
    this.api = new KubernetesApi((change) => onChange(change, this.#byPeople));
    this.router = new SimulatedRouter(this.#clock);
    this.#people(() => {
      this.api.create("configmaps", namespace, { metadata: { name: "config" }, data: { config: options.config } });
      for (let node = 0; node < options.nodes; node++) {
        this.api.create("nodes", undefined, { metadata: { name: nodeOf(node), labels: {} }, spec: {} });
        this.api.create("pods", namespace, podObject(node, false));
      }
    });
    for (let i = 0; i < controllers; i++) this.startController(i);
    for (let node = 0; node < options.nodes; node++) this.startSpeaker(node);
  }

  get now(): Millis {
    return this.ring.now;
  }

  note(line: string): void {
    if (this.lines.length < maxLines) this.lines.push(`${(this.now / 1000).toFixed(3)} ${line}`);
  }

  /** Lets time pass, and what was promised be done between its steps. */
  async pass(duration: Millis): Promise<void> {
    const end = this.now + duration;
    while (this.now < end) {
      this.ring.runFor(Math.min(stepMs, end - this.now));
      if (!this.#isBusy) continue;
      this.#isBusy = false;
      await setImmediate();
    }
  }

  startController(index: number): void {
    const process = this.#process(`controller-${index}`);
    this.controllers.set(index, new ControllerProcess(process, this.#connect(process), (line) => this.note(line)));
    this.#isBusy = true;
  }

  killController(index: number): void {
    this.controllers.get(index)?.process.kill();
  }

  startSpeaker(node: number): void {
    const process = this.#process(nodeOf(node));
    const network = new SimulatedNetwork(this.#clock);
    this.router.listen(nodeOf(node), network, routerAddress);
    this.#networks.set(node, network);
    this.#routesLostAt.delete(node);
    const speaker = new SpeakerProcess({
      index: node,
      process,
      connection: this.#connect(process),
      ring: this.ring,
      bgp: network,
      // As the incarnations of real ones, which begin with the clock.
      life: Math.ceil(this.now) + ++this.#starts,
      lan: {
        announce: (address) => this.#announced(node, address),
        probe: (address, to) => this.#probed(node, address, to),
      },
      record: (line) => this.note(line),
    });
    this.speakers.set(node, speaker);
    this.#isBusy = true;
    if (this.withoutCarrier.has(node)) speaker.setCarrier(false);
    const watchReadiness = () => {
      if (this.speakers.get(node) !== speaker || !process.isRunning) return;
      if (speaker.isReady) this.#setReady(node, true);
      else this.time.schedule(this.now + 1000, watchReadiness);
    };
    this.time.schedule(this.now + 1000, watchReadiness);
  }

  /** The process ends, the machine goes on: its kernel closes connections. */
  killSpeaker(node: number): void {
    this.#end(node, containerGoneMs);
    this.#networks.get(node)?.breakAll();
  }

  /** The machine is gone without a word. */
  powerOff(node: number): void {
    this.#end(node, machineGoneMs);
    const network = this.#networks.get(node);
    if (network === undefined) return;
    network.freeze(true);
    network.silent = true;
  }

  async stopSpeaker(node: number): Promise<void> {
    const speaker = this.speakers.get(node);
    this.#setReady(node, false);
    await speaker?.stop();
    if (this.speakers.get(node) === speaker && speaker?.process.isRunning) this.#end(node, containerGoneMs);
  }

  stallSpeaker(node: number, duration: Millis): void {
    this.speakers.get(node)?.process.stall(duration);
    this.ring.stall(node, duration);
    const network = this.#networks.get(node);
    network?.freeze(true);
    this.time.schedule(this.now + duration, () => network?.freeze(network.silent));
  }

  setCarrier(node: number, running: boolean): void {
    if (running) this.withoutCarrier.delete(node);
    else this.withoutCarrier.add(node);
    const speaker = this.speakers.get(node);
    if (speaker?.process.isRunning) speaker.process.at(this.now, () => speaker.setCarrier(running));
  }

  setExcluded(node: number, isExcluded: boolean): void {
    if (isExcluded) this.excluded.add(node);
    else this.excluded.delete(node);
    const label = isExcluded ? "true" : null;
    const labels = { "node.kubernetes.io/exclude-from-external-load-balancers": label };
    this.#people(() => this.api.patch("nodes", nodeOf(node), { metadata: { labels } }, "all"));
  }

  setConfig(text: string): void {
    this.#people(() => this.api.patch("configmaps", `${namespace}/config`, { data: { config: text } }, "all"));
  }

  /** Makes, changes, or, where undefined, deletes a Service and its slice. */
  setService(name: string, spec: ServiceSpec | undefined): void {
    const key = keyOf(name);
    this.#people(() => {
      if (spec === undefined) {
        this.services.delete(name);
        this.api.remove("endpointslices", key);
        this.api.remove("services", key);
        return;
      }
      this.services.set(name, spec);
      const [service, slice] = [serviceObject(name, spec), sliceObject(name, spec.endpoints)];
      if (this.api.get("services", key) === undefined) this.api.create("services", "default", service);
      else this.api.patch("services", key, service, "all");
      if (this.api.get("endpointslices", key) === undefined) this.api.create("endpointslices", "default", slice);
      else this.api.patch("endpointslices", key, slice, "all");
    });
  }

  /** Everything in the API is as it was then, and so is what people want. */
  restore(backup: Backup, services: ReadonlyMap<string, ServiceSpec>): void {
    this.services.clear();
    for (const [name, spec] of services) this.services.set(name, spec);
    this.#people(() => this.api.restore(backup));
    for (const [node, speaker] of this.speakers) this.#setReady(node, speaker.isReady);
    this.excluded.clear();
    for (const { metadata } of this.api.list({ plural: "nodes" }))
      if (Object.keys((metadata.labels ?? {}) as object).length > 0) this.excluded.add(Number(metadata.name.slice(5)));
    this.#isBusy = true;
  }

  /** The addresses in the status of a Service. */
  status(name: string): string[] {
    return ingressOf(this.api.get("services", keyOf(name)));
  }

  /** Who answers for each address. */
  owners(): Map<string, number[]> {
    const owners = new Map<string, number[]>();
    for (const [node, speaker] of this.speakers)
      if (speaker.process.isRunning)
        for (const address of speaker.announced) owners.set(address, [...(owners.get(address) ?? []), node]);
    return owners;
  }

  /** Since when a node's speaker does not run; undefined where it does. */
  goneSince(node: number): Millis | undefined {
    return this.#routesLostAt.get(node);
  }

  #end(node: number, noticedAfter: Millis): void {
    const speaker = this.speakers.get(node);
    if (speaker === undefined || !speaker.process.isRunning) return;
    speaker.process.kill();
    this.ring.kill(node);
    this.#routesLostAt.set(node, this.now);
    this.time.schedule(this.now + noticedAfter, () => {
      if (this.speakers.get(node) === speaker) this.#setReady(node, false);
    });
  }

  #setReady(node: number, ready: boolean): void {
    const key = `${namespace}/speaker-${node}`;
    this.#people(() => this.api.patch("pods", key, podObject(node, ready), "all"));
  }

  #people(act: () => void): void {
    this.#byPeople = true;
    try {
      act();
    } finally {
      this.#byPeople = false;
    }
  }

  #process(name: string): SimulatedProcess {
    const seed = Math.floor(this.#random() * 2 ** 31);
    return new SimulatedProcess(name, this.time, seededRandom(seed), -Math.floor(this.#random() * 1e6));
  }

  #connect(process: SimulatedProcess): ApiConnection {
    return new ApiConnection(this.api, process, this.time, this.#options.weather);
  }

  /** Everybody on the LAN who watches the address, or answers for it, sees a gratuitous announcement. */
  #announced(from: number, address: string): void {
    for (const [node, speaker] of this.speakers)
      if (node !== from && (speaker.announced.has(address) || speaker.watched.has(address)))
        this.#frame(from, node, address, "announces");
  }

  /** Whoever answers for the address tells so. */
  #probed(by: number, address: string, to: string | undefined): void {
    for (const [node, speaker] of this.speakers)
      if (node !== by && speaker.process.isRunning && speaker.announced.has(address) && (to === undefined || to === macOf(node)))
        if (this.#passes(by, node)) this.#frame(node, by, address, "uses");
  }

  #frame(from: number, to: number, address: string, kind: "announces" | "uses"): void {
    const parsed = parseAddress(address);
    if (parsed === undefined || !this.#passes(from, to)) return;
    this.time.schedule(this.now + this.#random(), () => this.speakers.get(to)?.see({ address: parsed, mac: macOf(from), kind }));
  }

  #passes(from: number, to: number): boolean {
    return this.ring.reaches(from, to) && !this.withoutCarrier.has(from) && !this.withoutCarrier.has(to);
  }
}

/** The addresses in a Service's status. */
export function ingressOf(service: RawObject | undefined): string[] {
  const status = (service?.status ?? {}) as { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip: string }[] } };
  return (status.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
}

export function prefixOf(address: string): string {
  return address.includes(":") ? `${address}/128` : `${address}/32`;
}
