import assert from "node:assert/strict";
import type { Millis } from "#pkg/clock";
import { nameOf } from "#pkg/memberlist/testing";
import { keyOf, type ServiceSpec } from "./api/objects.ts";
import { fairWeather } from "./history.ts";
import { type Move, prefixOf, SimulatedCluster } from "./simulated-cluster.ts";
import type { SpeakerProcess } from "./speaker-process.ts";

export interface PlacementSceneOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Which part of the ring's packets is lost, from 0 to 1; 0 where absent. */
  readonly loss?: number;
  readonly config: string;
  /** Addresses that each Service asks for; it is named for the first of them, and has ready endpoints everywhere. */
  readonly services: readonly (readonly string[])[];
  /** How late a watch shows at most what changed in the API. */
  readonly watchLagMs?: Millis;
  readonly maxTurnMs?: Millis;
}

const startMs: Millis = 8_000;

/** A cluster whose Services ask for their addresses, and the nodes that announce these. */
export class PlacementScene {
  readonly cluster: SimulatedCluster;
  readonly #seed: number;

  private constructor({
    seed,
    nodes,
    services,
    watchLagMs = fairWeather.watchLagMs,
    loss = 0,
    ...options
  }: PlacementSceneOptions) {
    this.#seed = seed;
    this.cluster = new SimulatedCluster({
      ...options,
      seed,
      nodes,
      loss,
      weather: { ...fairWeather, watchLagMs },
      onChange: () => {},
    });
    const endpoints = Array.from({ length: nodes }, (_, node) => node);
    for (const wanted of services) this.serve(wanted, { endpoints });
  }

  /** @param prepare called before anything happens */
  static async begin(options: PlacementSceneOptions, prepare = (_scene: PlacementScene) => {}): Promise<PlacementScene> {
    const scene = new PlacementScene(options);
    prepare(scene);
    await scene.pass(startMs + 2 * (options.watchLagMs ?? 0));
    return scene;
  }

  pass(duration: Millis): Promise<void> {
    return this.cluster.pass(duration);
  }

  /** Makes a Service that asks for these addresses, or changes it. */
  serve(wanted: readonly string[], spec: Partial<ServiceSpec>, name = nameFor(wanted[0] ?? "")): void {
    this.cluster.people.setService(name, {
      pool: "lan",
      isDual: false,
      wanted: wanted.join(),
      sharing: undefined,
      port: 80,
      endpoints: [],
      isLocal: false,
      ...spec,
    });
  }

  /** Only these nodes have ready endpoints, and only they may announce it. */
  serveAt(wanted: readonly string[], endpoints: readonly number[]): void {
    this.serve(wanted, { endpoints, isLocal: true });
  }

  /** Writes the status of a Service, as another controller or a person would. */
  write(name: string, addresses: readonly string[]): void {
    const ingress = addresses.map((ip) => ({ ip }));
    this.cluster.api.patch("services", keyOf(name), { status: { loadBalancer: { ingress } } });
  }

  /** Speakers end, and leave nothing in their kernels. */
  async stop(nodes: readonly number[]): Promise<void> {
    const stopped = nodes.map((node) => this.cluster.stopSpeaker(node));
    await this.pass(5_000);
    await Promise.all(stopped);
  }

  speaker(node: number): SpeakerProcess {
    const speaker = this.cluster.speakers.get(node);
    assert.ok(speaker);
    return speaker;
  }

  /** The speakers that run. */
  get running(): [number, SpeakerProcess][] {
    return [...this.cluster.speakers].filter(([, { process }]) => process.isRunning);
  }

  /** The nodes that announce each address of a Service. */
  owners(): Map<string, number[]> {
    const addresses = [...this.cluster.people.services.keys()].flatMap((name) => this.cluster.people.status(name));
    const owners = this.cluster.owners();
    return new Map(addresses.map((address) => [address, (owners.get(address) ?? []).toSorted()]));
  }

  /** The one that announces each address. @throws {AssertionError} where it is not one, or a Service lacks an address */
  owner(): Map<string, number> {
    for (const [name, { wanted = "" }] of this.cluster.people.services)
      assert.deepEqual(this.cluster.people.status(name).toSorted(), wanted.split(",").sort(), `status of ${name}`);
    const entries = [...this.owners()].map(([address, nodes]) => {
      assert.equal(nodes.length, 1, `${address} is at nodes ${nodes} (seed ${this.#seed}, at ${this.cluster.now} ms)`);
      return [address, nodes[0] ?? -1] as const;
    });
    return new Map(entries);
  }

  /** The moves so far are not looked at any more. */
  forgetMoves(): void {
    this.cluster.moves.length = 0;
  }

  get moves(): readonly Move[] {
    return this.cluster.moves;
  }

  /** Nodes that the router has a route to the address through, as text. */
  routedAt(address: string): string {
    const neighbors = this.cluster.router.routes().get(prefixOf(address)) ?? [];
    return this.running
      .flatMap(([node]) => (neighbors.includes(this.cluster.neighborOf(node)) ? [node] : []))
      .sort()
      .join("");
  }

  /** Nodes that do not participate, as another one sees it. */
  notParticipating(): string[] {
    const nodes = this.running.map(([node]) => nameOf(node));
    return nodes.filter((node) => this.running.some(([, { state }]) => state.members.gossip?.isParticipating(node) === false));
  }

  /** Nodes whose speakers wait for the others before they announce anything. */
  waiting(): number[] {
    return this.running.flatMap(([node, { state }]) => (state.members.isSynced ? [] : [node])).sort();
  }

  /** How many addresses each node announces. */
  loads(): Map<number, number> {
    return new Map(this.running.map(([node, { announced }]) => [node, announced.size]));
  }
}

/** The addresses that are at another node. */
export function moved(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  return [...before].filter(([address, node]) => after.get(address) !== node).map(([address]) => address);
}

/** A name that Kubernetes takes. */
export function nameFor(address: string): string {
  return `s-${address.replaceAll(/[.:]+/g, "-")}`;
}
