import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Exit, type Host, type LabProcess, waitFor } from "#e2e/lab";
import type { ApiClient } from "./api-client.ts";
import { asContainer } from "./as-pod.ts";
import { environment, type PodTemplate } from "./manifests.ts";
import { assertDescribed } from "./openapi.ts";

export interface WorkloadOptions {
  readonly api: ApiClient;
  /** Name of the Pod and, with `.log` added, of the file with its output. */
  readonly name: string;
  readonly namespace: string;
  readonly template: PodTemplate;
  /** The program that stands for the template's command, and the arguments that come before the template's. */
  readonly argv: readonly string[];
  readonly host: Host;
  readonly node: string;
  /** Capabilities beyond those of the template. */
  readonly capabilities?: readonly string[];
  /** The addresses of the host, which are the Pod's. */
  readonly addresses: readonly [string, ...string[]];
}

const root = fileURLToPath(new URL("../../", import.meta.url));
// A kubelet asks once in the manifest's 5 s. A ready process is asked so seldom that the questions do not count in its cost at rest.
const probeEveryMs = { whileUnready: 250, whileReady: 1000 };
const probeTimeoutMs = 1_000; // A kubelet's default.

/**
 * A Pod of ours as a process on a host, with a kubelet's work for it: its environment is the one that the manifest asks for, and its
 * condition Ready follows the process and `/readyz`, at once when the process ends. Nothing restarts it but `start`.
 */
export class Workload implements AsyncDisposable {
  readonly #options: WorkloadOptions;
  #process: LabProcess | undefined;
  #checkout = root;
  #without: readonly string[] = [];
  #within: readonly string[] = [];
  #starts = 0;
  #stopped = false;
  #reported: string | undefined;
  #watching: Promise<void> | undefined;
  #wake: () => void = () => {};

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get host(): Host {
    return this.#options.host;
  }

  /** The addresses that the host was given. */
  get addresses(): readonly string[] {
    return this.#options.addresses;
  }

  /** The running process, or the last one. */
  get process(): LabProcess {
    if (this.#process === undefined) throw new Error(`Cannot get the process of ${this.name}: it has not been started`);
    return this.#process;
  }

  /** Runs the program of another checkout of the sources from the next start on; of this one where undefined. */
  set checkout(folder: string | undefined) {
    this.#checkout = folder ?? root;
  }

  /** Runs the program without these capabilities, such as `net_admin`, from the next start on. */
  set without(capabilities: readonly string[]) {
    this.#without = capabilities;
  }

  get within(): readonly string[] {
    return this.#within;
  }

  /** Runs the program by this command, such as `env NAME=VALUE`, from the next start on. */
  set within(command: readonly string[]) {
    this.#within = command;
  }

  /** Starts the process, waiting first for Secrets it needs; does not wait until it is ready. */
  async start(): Promise<void> {
    const { api, name, namespace, template, argv, host, node, addresses, capabilities = [] } = this.#options;
    if (this.#process !== undefined && this.#process.exit === undefined) throw new Error(`Cannot start ${name}: it is running`);
    const [container] = template.spec.containers;
    const [address] = addresses;
    const fields = { "metadata.namespace": namespace, "spec.nodeName": node, "status.hostIP": address, "status.podIP": address };
    const env = await environment(container, { fields, secret: (secret, key) => this.#secret(secret, key) });
    await api.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels: template.metadata.labels },
      spec: {
        nodeName: node,
        hostNetwork: true,
        containers: [{ name: container.name, image: "process", args: container.args ?? [] }],
      },
    });
    const command = argv.map((argument) => (argument.startsWith(root) ? this.#checkout + argument.slice(root.length) : argument));
    const inBounds = asContainer(container, command, { more: capabilities, without: this.#without });
    this.#process = await host.spawn(name, [...this.#within, ...inBounds, ...(container.args ?? [])], { env });
    this.#starts++;
    void this.#process.exited.then(() => this.#wake());
    this.#watching ??= this.#watch();
  }

  /** The `Ready` condition that the API has. */
  async ready(): Promise<boolean> {
    const { api, name, namespace } = this.#options;
    const pod = await api.get({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } });
    const { conditions = [] } = (pod?.status ?? {}) as { conditions?: { type: string; status: string }[] };
    return conditions.some(({ type, status }) => type === "Ready" && status === "True");
  }

  /**
   * GET within `timeout` milliseconds from its HTTP server, on loopback of its own host. An answer under `/v1` has to be as
   * docs/openapi.yaml says.
   */
  async get(path: string, timeout = 30_000): Promise<{ status: number; body: string }> {
    const { args = [] } = this.#options.template.spec.containers[0];
    const port = args.findLast((one) => one.startsWith("--port="))?.slice("--port=".length);
    const answer = await this.#options.host.get(`http://127.0.0.1:${port}${path}`, { timeout });
    if (path.startsWith("/v1/") && answer.status === 200) assertDescribed(path, answer.body);
    return answer;
  }

  /** Asks the process to end, and waits until it has. */
  async stop(): Promise<Exit> {
    return this.process.stop();
  }

  /** Ends the process and stops reporting. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#watching;
    await this.#process?.stop();
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve; // Before it is looked, so that nothing that happens meanwhile is missed.
      const isReady = await this.#report();
      await Promise.race([woken, sleep(isReady ? probeEveryMs.whileReady : probeEveryMs.whileUnready)]);
    }
  }

  /** @returns whether it is ready */
  async #report(): Promise<boolean> {
    const { api, name, namespace, template, addresses } = this.#options;
    const ready = await this.#healthy();
    const state = `${ready} ${this.#starts} ${this.process.exit === undefined}`;
    if (state === this.#reported) return ready;
    const [address] = addresses;
    const [container] = template.spec.containers;
    const status = {
      phase: "Running",
      hostIP: address,
      podIP: address,
      podIPs: addresses.map((ip) => ({ ip })),
      conditions: ["Ready", "ContainersReady"].map((type) => ({ type, status: ready ? "True" : "False" })),
      containerStatuses: [
        { name: container.name, image: "process", imageID: "", ready, restartCount: this.#starts - 1, state: {} },
      ],
    };
    try {
      await api.patch({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } }, { status }, "status");
      this.#reported = state;
    } catch {
      // The API is away, maybe on purpose. It gets it as soon as it is back.
      return false;
    }
    return ready;
  }

  async #healthy(): Promise<boolean> {
    if (this.process.exit !== undefined) return false;
    try {
      const { status } = await this.get("/readyz", probeTimeoutMs);
      return status === 200 && this.process.exit === undefined;
    } catch {
      return false;
    }
  }

  async #secret(name: string, key: string): Promise<string> {
    const { api, namespace } = this.#options;
    const data = await waitFor(`Secret ${namespace}/${name}, which the controller makes`, async () => {
      const secret = await api.get({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace } });
      return (secret?.data as Record<string, string> | undefined)?.[key];
    });
    return Buffer.from(data, "base64").toString();
  }
}
