import assert from "node:assert/strict";
import type { JsonObject } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { asked, textOf } from "#pkg/http/testing";
import { nameOf } from "#pkg/memberlist/testing";
import type { Api } from "../../../ctl/cluster/api.ts";
import type { Processes, Target } from "../../../ctl/cluster/processes.ts";
import { ingotctl } from "../../../ctl/testing/ingotctl.ts";
import { keyOf, namespace } from "../cluster/api/objects.ts";
import { readySlice } from "../cluster/api/slices.ts";
import type { ControllerProcess } from "../cluster/controller-process.ts";
import { fairWeather } from "../cluster/history.ts";
import { startMs } from "../cluster/run.ts";
import { SimulatedCluster, type SimulatedClusterOptions } from "../cluster/simulated-cluster.ts";
import type { SpeakerProcess } from "../cluster/speaker-process.ts";

export interface ServiceOptions {
  readonly spec?: JsonObject;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string | null>>;
}

/** A verdict in `/v1/verdicts`. */
interface Said {
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly cause: string;
  readonly next: string;
}

export interface WorldOptions {
  /** 1 when unset; in every third one speakers follow all Nodes, in the others their own alone. */
  readonly seed?: number;
  /** Two where absent. */
  readonly nodes?: number;
  /** The ConfigMap where absent; else the text is manifests of MetalLB's custom resources. */
  readonly configSource?: SimulatedClusterOptions["configSource"];
}

const maxWaitMs: Millis = 120_000;
const lookEveryMs: Millis = 100;

/** A simulated cluster as people see it: they write objects into the API, and ask `ingotctl`. */
export class World {
  readonly cluster: SimulatedCluster;
  /** Between the processes and the API. */
  readonly weather = { ...fairWeather };

  readonly #withdrawals: { readonly node: string; readonly service: string; readonly reason: string }[] = [];

  private constructor(config: string | undefined, { nodes = 2, seed = 1, configSource }: WorldOptions) {
    const watchCore: SimulatedClusterOptions["watchCore"] = (node) => (_input, effects) => {
      for (const effect of effects)
        if (effect.type === "log" && effect.fields.event === "serviceWithdrawn")
          this.#withdrawals.push({ node, service: `${effect.fields.service}`, reason: `${effect.fields.reason}` });
    };
    this.cluster = new SimulatedCluster({
      seed,
      nodes,
      loss: 0,
      weather: this.weather,
      config: config ?? "",
      configSource,
      hasNodeEvents: true,
      onChange: () => {},
      watchCore,
    });
  }

  /** A cluster that has started. @param config the ConfigMap's text; undefined: there is no ConfigMap */
  static async start(config: string | undefined, options: WorldOptions = {}): Promise<World> {
    const world = new World(config, options);
    if (config === undefined) world.cluster.people.deleteConfig();
    await world.cluster.pass(startMs);
    return world;
  }

  configure(text: string): void {
    this.cluster.people.setConfig(text, false);
  }

  /** Makes or changes a Service of type LoadBalancer, which needs no endpoints. */
  apply(name: string, { spec = {}, annotations = {}, labels = {} }: ServiceOptions = {}): void {
    const { api } = this.cluster;
    const whole = { type: "LoadBalancer", selector: { app: name }, ports: [{ name: "http", port: 80 }], ...spec };
    const object = { metadata: { name, annotations, labels }, spec: whole };
    if (api.get("services", keyOf(name)) === undefined) api.create("services", "default", object);
    else api.patch("services", keyOf(name), object);
  }

  /** The same with a ready endpoint on each of these nodes. */
  expose(name: string, nodes: readonly number[], options: ServiceOptions = {}): void {
    this.apply(name, options);
    this.cluster.api.create("endpointslices", "default", readySlice(name, nodes));
  }

  delete(name: string): void {
    this.cluster.api.remove("endpointslices", keyOf(name));
    this.cluster.api.remove("services", keyOf(name));
  }

  patchNode(node: number, patch: JsonObject): void {
    this.cluster.api.patch("nodes", nameOf(node), patch);
  }

  addresses(name: string): readonly string[] {
    return this.cluster.people.status(name);
  }

  /** Writes the status of a Service, as another controller or a person would. */
  writeStatus(name: string, addresses: readonly string[]): void {
    const ingress = addresses.map((ip) => ({ ip }));
    this.cluster.api.patch("services", keyOf(name), { status: { loadBalancer: { ingress } } });
  }

  /** Waits until a Service has an address. @returns all that it has */
  async assigned(name: string): Promise<readonly string[]> {
    await this.until(() => assert.notEqual(this.addresses(name).length, 0, `${name} has no address`));
    return this.addresses(name);
  }

  /** Events about a Service, of all processes, as `TYPE REASON: MESSAGE`; with this reason, or with any. */
  events(name: string, reason = "\\w+"): string[] {
    const event = new RegExp(`: ${keyOf(name)}: (\\w+ ${reason}: .*)$`);
    return this.cluster.lines.flatMap((line) => event.exec(line)?.[1] ?? []);
  }

  /** The Events that `kubectl describe` shows of an object; it shows no conditions of a Service. @param subject such as `svc/web` */
  described(subject: string): string {
    const [kind, name = ""] = subject.split("/");
    const about = kind === "svc" ? keyOf(name) : `(?:${namespace})?/${name}`;
    const event = new RegExp(`: ${about}: (\\w+ \\w+: .*)$`);
    return this.cluster.lines.flatMap((line) => event.exec(line)?.[1] ?? []).join("\n");
  }

  /** The reasons for which a node withdrew a Service so far. */
  withdrawals(node: number, service: string): string[] {
    return this.#withdrawals.flatMap((one) => (one.node === nameOf(node) && one.service === service ? [one.reason] : []));
  }

  /** Waits for an event on a Service whose message matches. @returns the event, as `events` has it */
  async event(name: string, reason: string, wanted: RegExp): Promise<string> {
    const find = () => this.events(name, reason).find((message) => wanted.test(message));
    await this.until(() => assert.ok(find(), `no event ${reason} on ${name} matches ${wanted}`));
    return find() ?? "";
  }

  /** Runs `ingotctl`. @param args separated by blanks */
  tool(args: string): ReturnType<typeof ingotctl> {
    return ingotctl(args, { processes: this.#processes, api: this.#api });
  }

  /** Explains something until the text is all that is wanted. @returns the text */
  async explains(subject: string, wanted: RegExp | readonly RegExp[]): Promise<string> {
    let text = "";
    await this.until(async () => {
      const { out, err } = await this.tool(`explain ${subject}`);
      for (const pattern of [wanted].flat()) assert.match(out, pattern, `${out}${err}`);
      text = out;
    });
    return text;
  }

  /** The Pod of the controller that works. */
  get leader(): string {
    const [index] = [...this.cluster.controllers].find(([, { isLeader }]) => isLeader) ?? [];
    return `controller-${index}`;
  }

  /** The verdicts that a process gives. @param pod its name */
  async verdicts(pod: string): Promise<readonly Said[]> {
    const target = this.#processes.targets.find((each) => each.pod === pod);
    assert.ok(target, `there is no ${pod}`);
    return ((await this.#processes.get(target, "/v1/verdicts")) as { verdicts: readonly Said[] }).verdicts;
  }

  /** Waits until a process gives this verdict on one object. A verdict on a problem has to have a remedy. */
  async says(pod: string, cause: string, kind: string, name: string): Promise<void> {
    await this.until(async () => {
      const those = (await this.verdicts(pod)).filter((each) => each.kind === kind && each.name === name);
      const said = those.find((each) => each.cause === cause);
      assert.ok(said, JSON.stringify(those));
      if (/^(Pending|Degraded)$/.test(said.state)) assert.notEqual(said.next, "", JSON.stringify(said));
    });
  }

  /** Lets time pass until this does not throw any more. @throws what it throws in the end */
  async until(holds: () => unknown): Promise<void> {
    for (const end = this.cluster.now + maxWaitMs; this.cluster.now < end; await this.cluster.pass(lookEveryMs))
      try {
        await holds();
        return;
      } catch (error) {
        if (!(error instanceof assert.AssertionError)) throw error;
      }
    await holds();
  }

  /** The API of the person who asks, who is not cut off. */
  get #api(): Api {
    const { api } = this.cluster;
    const read = (path: string) => api.answer({ method: "GET", path }) as { items?: readonly object[] };
    return {
      server: "https://192.0.2.250:6443",
      read: async (path) => ({ type: "found", value: read(path) }),
      list: async (path) => ({ type: "found", value: read(path).items ?? [] }),
      write: async () => ({ type: "unread", why: "nobody writes" }),
    };
  }

  /** All controllers and speakers, and what they answer. */
  get #processes(): Processes {
    const { controllers, speakers } = this.cluster;
    const processes = new Map<string, Pick<Target, "program" | "node"> & { one: ControllerProcess | SpeakerProcess }>();
    for (const [index, one] of controllers) processes.set(`controller-${index}`, { program: "controller", node: "", one });
    for (const [node, one] of speakers) processes.set(`speaker-${node}`, { program: "speaker", node: nameOf(node), one });
    return {
      targets: [...processes].map(([pod, { program, node, one }]): Target => {
        return { program, pod, node, notRunning: one.process.isRunning ? undefined : "it has ended" };
      }),
      async get({ pod }, path) {
        const [name = "", query] = path.split("?");
        const route = processes.get(pod)?.one.routes[name];
        if (processes.get(pod)?.one.process.isStalled) throw new Error("no answer within 3 s");
        if (route === undefined) throw new Error(`it has no ${name}`);
        return JSON.parse(textOf(await route(asked(query))));
      },
      async [Symbol.asyncDispose]() {},
    };
  }
}
