import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ApiClient, asPod, type Reference } from "#e2e/demo-cluster";
import { type Host, Lab, type LabProcess, type Switch } from "#e2e/lab";
import { Bird, type RouterConfiguration } from "#e2e/routers";
import { manifestProgram } from "./manifest-program.ts";
import { ProcessUsage } from "./measure.ts";

export const nodeAddress = "172.30.0.11";
export const nodeAsn = 65001;
export const routerAsn = 65000;
const apiPort = 6443;
const kubeconfig = "/run/admin.conf"; // In the lab.

/** A process of the lab that is measured, and when it was started. */
export interface Measured extends AsyncDisposable {
  readonly process: LabProcess;
  readonly usage: ProcessUsage;
  /** A time of `performance.now`. */
  readonly started: number;
}

/** A node with an API server on it, and routers, on one switch. */
export class BgpLab implements AsyncDisposable {
  readonly api: ApiClient;
  readonly #lab: Lab;
  readonly #lan: Switch;
  /** Where the processes run. */
  readonly node: Host;
  readonly #stack: AsyncDisposableStack;
  #hosts = 0;

  private constructor(parts: { api: ApiClient; lab: Lab; lan: Switch; node: Host }, stack: AsyncDisposableStack) {
    this.api = parts.api;
    this.#lab = parts.lab;
    this.#lan = parts.lan;
    this.node = parts.node;
    this.#stack = stack;
  }

  static async start(): Promise<BgpLab> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await Lab.start());
    const lan = await lab.switch("lan");
    const node = await lab.host("node1");
    await node.attach(lan, { addresses: [`${nodeAddress}/16`] });
    const flags = ["--address=::", `--port=${apiPort}`, `--host=127.0.0.1`, `--kubeconfig=${kubeconfig}`, "--history=100000"];
    const server = await node.spawn("apiserver", ["node", path("../apiserver/main.ts"), ...flags]);
    await server.waitForLine(/^listening on /);
    const published = stack.use(await node.publish("127.0.0.1", apiPort));
    chmodSync(lab.outside(kubeconfig), 0o644); // For the controller's user.
    const api = stack.use(new ApiClient(readFileSync(lab.outside(kubeconfig), "utf8"), published.port));
    await api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "metallb-system" } });
    await api.apply({ apiVersion: "v1", kind: "Node", metadata: { name: "node1" }, spec: {} });
    return new BgpLab({ api, lab, lan, node }, stack.move());
  }

  /** Creates Services as `bgp-services.ts` does. @param apart their addresses; `waiting` for none with an address yet */
  async create(
    name: string,
    { count, first, state = "served", apart = 1 }: { count: number; first: string; state?: "served" | "waiting"; apart?: number },
  ): Promise<void> {
    const argv = ["node", path("bgp-services.ts"), kubeconfig, `${apiPort}`, name, `${count}`, first, state, `${apart}`];
    const loader = await this.node.spawn(`load-${name}`, argv);
    await loader.waitForLine(/^created$/, { timeout: 300_000 });
  }

  async configure(config: string): Promise<void> {
    const metadata = { namespace: "metallb-system", name: "config" };
    await this.api.apply({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { config } });
  }

  /** Changes many objects as `api-flood.ts` does. */
  async flood(mode: "endpoints" | "nodes" | "requests" | "selectors" | "recreate", count: number): Promise<void> {
    const argv = ["node", path("api-flood.ts"), kubeconfig, `${apiPort}`, mode, `${count}`];
    const flood = await this.node.spawn(`flood-${mode}`, argv);
    await flood.waitForLine(/^flooded$/, { timeout: 300_000 });
  }

  /** Starts the speaker of a bundle with the manifest's flags. @param nodeFlags more of them, for Node */
  startSpeaker(bundle: string, nodeFlags: readonly string[] = []): Promise<Measured> {
    return this.#start("speaker", bundle, nodeFlags, { METALLB_NODE_NAME: "node1", METALLB_HOST: nodeAddress });
  }

  /** Starts the controller of a bundle beside it, on another port. */
  startController(bundle: string, nodeFlags: readonly string[] = []): Promise<Measured> {
    return this.#start("controller", bundle, [...nodeFlags], {}, ["--port=7473"]);
  }

  async #start(
    name: "speaker" | "controller",
    bundle: string,
    nodeFlags: readonly string[],
    variables: Readonly<Record<string, string>>,
    flags: readonly string[] = [],
  ): Promise<Measured> {
    const program = manifestProgram(name);
    const env = { ...program.env, METALLB_NAMESPACE: "metallb-system", ...variables };
    const node = ["node", ...program.nodeFlags, ...nodeFlags, join(bundle, `${name}.js`)];
    const argv = [...node, `--kubeconfig=${kubeconfig}`, ...program.args, ...flags];
    const started = performance.now();
    return measured(await this.node.spawn(name, asPod(name, argv, { isLab: true }), { env }), started);
  }

  /** Starts a BIRD on the node that announces these, in the speaker's place. */
  async startSender(networks: readonly string[], peers: readonly string[]): Promise<Measured> {
    const neighbors = peers.map((address) => ({ address, asn: routerAsn }));
    const sender = new Bird(
      { lab: this.#lab, host: this.node },
      { asn: nodeAsn, routerId: nodeAddress, kernel: false, neighbors, networks },
    );
    const started = performance.now();
    await sender.start();
    return measured(sender.process, started);
  }

  /** A new host on the switch. */
  async host(): Promise<{ readonly host: Host; readonly address: string }> {
    const number = ++this.#hosts;
    const address = `172.30.1.${number}`;
    const host = await this.#lab.host(`router${number}`);
    await host.attach(this.#lan, { addresses: [`${address}/16`] });
    return { host, address };
  }

  /** A new host with a BIRD that waits for the node. */
  async startRouter(): Promise<{ readonly bird: Bird; readonly address: string }> {
    const { host, address } = await this.host();
    const neighbors = [{ address: nodeAddress, asn: nodeAsn, passive: true }];
    const configuration: RouterConfiguration = { asn: routerAsn, routerId: address, kernel: false, neighbors };
    const bird = this.#stack.use(new Bird({ lab: this.#lab, host }, configuration));
    await bird.start();
    return { bird, address };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

export function serviceReference(name: string): Reference {
  return { apiVersion: "v1", kind: "Service", metadata: { namespace: "default", name } };
}

function measured(process: LabProcess, started: number): Measured {
  return {
    process,
    usage: new ProcessUsage(process.pid),
    started,
    [Symbol.asyncDispose]: async () => void (await process.stop({ grace: 15_000 })),
  };
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
