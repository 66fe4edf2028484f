import { waitFor } from "#e2e/lab";
import type { ApiClient } from "./api-client.ts";
import type { Backend } from "./backend.ts";

export interface ServiceOptions {
  /** 80 when unset. */
  readonly port?: number;
  /** One port of each; TCP when unset. */
  readonly protocols?: readonly ("TCP" | "UDP")[];
  /** `Cluster` when unset. */
  readonly policy?: "Cluster" | "Local";
  /** IPv4 when unset. */
  readonly families?: readonly ("IPv4" | "IPv6")[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** Anything else of `spec`. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

export const backendPort = 8080;

/** A Service of type LoadBalancer in namespace `default`, and the controllers of Kubernetes that keep its EndpointSlices. */
export class DemoService {
  readonly name: string;
  readonly #api: ApiClient;
  readonly #options: ServiceOptions;
  #backends: readonly Backend[] = [];
  #writing: Promise<void> = Promise.resolve();
  #deleted = false;

  constructor(api: ApiClient, name: string, options: ServiceOptions) {
    this.#api = api;
    this.name = name;
    this.#options = options;
  }

  async create(): Promise<void> {
    const { port = 80, policy = "Cluster", families = ["IPv4"], annotations = {}, spec = {} } = this.#options;
    await this.#api.apply({
      ...this.#reference,
      metadata: { ...this.#reference.metadata, annotations },
      spec: {
        type: "LoadBalancer",
        externalTrafficPolicy: policy,
        ipFamilies: families,
        ipFamilyPolicy: families.length > 1 ? "RequireDualStack" : "SingleStack",
        selector: { app: this.name },
        ports: this.#ports.map((named) => ({ ...named, port, targetPort: backendPort })),
        ...spec,
      },
    });
  }

  /** Makes these its endpoints. One whose process ends becomes unready at once. */
  async serveFrom(backends: readonly Backend[]): Promise<void> {
    this.#backends = backends;
    await this.#writeSlices();
    // The API may be gone for good by then.
    for (const { process } of backends) void process.exited.then(() => this.#writeSlices()).catch(() => {});
  }

  /** The addresses in its status. */
  async addresses(): Promise<readonly string[]> {
    const service = await this.#api.get(this.#reference);
    const { loadBalancer } = (service?.status ?? {}) as { loadBalancer?: { ingress?: { ip: string }[] } };
    return (loadBalancer?.ingress ?? []).map(({ ip }) => ip);
  }

  /** Its first address, waited for. */
  async address(): Promise<string> {
    return waitFor(`Service ${this.name} to have an address`, async () => (await this.addresses())[0]);
  }

  /** Its Pods go on. */
  async delete(): Promise<void> {
    await this.#writing;
    this.#deleted = true;
    await this.#api.delete(this.#reference);
    for (const family of this.#families) await this.#api.delete(this.#slice(family));
  }

  get #reference() {
    return { apiVersion: "v1", kind: "Service", metadata: { name: this.name, namespace: "default" } };
  }

  get #families(): readonly ("IPv4" | "IPv6")[] {
    return this.#options.families ?? ["IPv4"];
  }

  get #ports(): readonly { name: string; protocol: string }[] {
    return (this.#options.protocols ?? ["TCP"]).map((protocol) => ({ name: protocol.toLowerCase(), protocol }));
  }

  #slice(family: string) {
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: `${this.name}-${family.toLowerCase()}`,
        namespace: "default",
        labels: { "kubernetes.io/service-name": this.name },
      },
    };
  }

  /** One after the other, so that the last one written is the latest. */
  #writeSlices(): Promise<void> {
    this.#writing = this.#writing.catch(() => {}).then(() => this.#applySlices());
    return this.#writing;
  }

  async #applySlices(): Promise<void> {
    if (this.#deleted) return;
    for (const family of this.#families)
      await this.#api.apply({
        ...this.#slice(family),
        addressType: family,
        ports: this.#ports.map((named) => ({ ...named, port: backendPort })),
        endpoints: this.#backends.map(({ addresses, node, ready }) => ({
          addresses: addresses.filter((address) => address.includes(":") === (family === "IPv6")),
          nodeName: node,
          conditions: { ready, serving: ready, terminating: false },
        })),
      });
  }
}
