import assert from "node:assert/strict";
import type { Millis } from "#pkg/clock";
import type { ApiWeather } from "../api/api-connection.ts";
import { keyOf, type ServiceSpec } from "../api/objects.ts";
import { fairWeather, firstConfig } from "../history.ts";
import { SimulatedCluster, type SimulatedClusterOptions } from "../simulated-cluster.ts";
import type { AsWanted } from "./as-wanted.ts";
import { Invariants } from "./invariants.ts";
import { wrongAtRest } from "./rest.ts";

export const spec: ServiceSpec = {
  pool: "lan",
  isDual: false,
  wanted: undefined,
  sharing: undefined,
  port: 80,
  endpoints: [0, 1],
  isLocal: false,
};

type SceneOptions = Pick<SimulatedClusterOptions, "withoutRing" | "routerDials">;

/** Two nodes, three Services, at rest. */
export class Scene {
  readonly invariants: Invariants;
  readonly weather: ApiWeather = { ...fairWeather };
  readonly cluster: SimulatedCluster;

  private constructor(config: string, asWanted: AsWanted | undefined, options: SceneOptions) {
    this.invariants = new Invariants(asWanted);
    const changed = (...[change, byPeople]: Parameters<ConstructorParameters<typeof SimulatedCluster>[0]["onChange"]>) => {
      if (this.cluster !== undefined) this.invariants.changed(this.cluster, change, byPeople);
    };
    this.cluster = new SimulatedCluster({
      seed: 1,
      nodes: 2,
      loss: 0,
      withoutNetAdmin: [],
      ...options,
      weather: this.weather,
      config,
      onChange: changed,
    });
    this.cluster.people.setService("a", spec);
    this.cluster.people.setService("b", spec);
    this.cluster.people.setService("r", { ...spec, pool: "routed" });
  }

  static async atRest(config = firstConfig, asWanted?: AsWanted, options: SceneOptions = {}): Promise<Scene> {
    const scene = new Scene(config, asWanted, options);
    await scene.pass(30_000); // By then Services have their conditions, each of which speakers see as a change.
    assert.equal(scene.found, undefined);
    return scene;
  }

  async pass(duration: Millis): Promise<void> {
    for (let passed = 0; passed < duration; passed += 100) {
      await this.cluster.pass(100);
      this.invariants.check(this.cluster);
    }
  }

  /** Leaves out the lines and conditions of Services, which take longer to be right: see `wronglyTold`. */
  get found(): string | undefined {
    return this.invariants.problem ?? wrongAtRest(this.cluster);
  }

  /** Writes a status as a controller would. */
  write(name: string, ...addresses: string[]): void {
    const ingress = addresses.map((ip) => ({ ip }));
    this.cluster.api.patch("services", keyOf(name), { status: { loadBalancer: { ingress } } });
  }

  speaker(node: number) {
    const speaker = this.cluster.speakers.get(node);
    assert.ok(speaker);
    return speaker;
  }
}
