import { Agent, request } from "node:http";
import { type Duplex, duplexPair } from "node:stream";
import { CoreV1Api, KubeConfig, PortForward, type V1Pod } from "@kubernetes/client-node";
import { UsageError } from "../command.ts";
import type { ClusterOptions, Processes, Target } from "./processes.ts";

const standardPort = 7472;
const answerMs = 10_000;
const maxAnswerBytes = 64 << 20; // A list of 10,000 Services has some megabytes.

/**
 * Finds the Pods with the user's kubeconfig. Each one that is asked gets a forwarded port, which is kept for the next question.
 * @throws {UsageError} where there is no cluster to be asked
 */
export async function connect({ kubeconfig, context, systemNamespace }: ClusterOptions): Promise<Processes> {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
    if (context !== undefined) {
      if (!config.contexts.some(({ name }) => name === context)) throw new Error(`there is no context "${context}"`);
      config.setCurrentContext(context);
    }
    const api = config.makeApiClient(CoreV1Api);
    const { items } = await api.listNamespacedPod({ namespace: systemNamespace, labelSelector: "app=metallb" });
    return new ForwardedProcesses(config, systemNamespace, items);
  } catch (error) {
    throw new UsageError(`cannot ask the cluster for the Pods of namespace ${systemNamespace}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The namespace of the kubeconfig's context, for Services that are named without one. */
export function defaultNamespace({ kubeconfig, context }: ClusterOptions): string {
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  const name = context ?? config.getCurrentContext();
  return config.getContextObject(name)?.namespace ?? "default";
}

class ForwardedProcesses implements Processes {
  readonly targets: readonly Target[];
  readonly #forward: PortForward;
  readonly #namespace: string;
  readonly #ports = new Map<string, number>(); // pod -> port
  readonly #agents = new Map<string, PodAgent>(); // pod -> its connection

  constructor(config: KubeConfig, namespace: string, pods: readonly V1Pod[]) {
    this.#forward = new PortForward(config);
    this.#namespace = namespace;
    this.targets = pods.flatMap((pod): Target[] => {
      const program = pod.metadata?.labels?.component;
      const name = pod.metadata?.name;
      if ((program !== "controller" && program !== "speaker") || name === undefined) return [];
      this.#ports.set(name, portOf(pod));
      return [{ program, pod: name, node: pod.spec?.nodeName ?? "", notRunning: notRunning(pod) }];
    });
  }

  async get({ pod }: Target, path: string): Promise<unknown> {
    const agent = this.#agents.get(pod) ?? new PodAgent(() => this.#open(pod));
    this.#agents.set(pod, agent);
    const { status, body } = await agent.get(path);
    if (status === 200) return JSON.parse(body);
    if (status === 404) throw new Error(`it has no ${path}: it is MetalLB, or another version of Ingot`);
    throw new Error(`it answers ${status}: ${body.trim().slice(0, 200)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  async #open(pod: string): Promise<Duplex> {
    const [ours, theirs] = duplexPair();
    const refused = duplexPair();
    const socket = (await this.#forward.portForward(
      this.#namespace,
      pod,
      [this.#ports.get(pod) ?? standardPort],
      theirs,
      refused[0],
      theirs,
    )) as {
      close(): void;
      addEventListener(type: string, listener: () => void): void;
    };
    refused[1].on("data", (text: Buffer) => ours.destroy(new Error(text.toString().trim().slice(0, 200))));
    socket.addEventListener("close", () => ours.destroy(new Error("the connection was closed")));
    ours.on("close", () => socket.close());
    return ours;
  }
}

/** HTTP over one forwarded port: one question at a time, over a connection that is kept for the next one. */
export class PodAgent extends Agent {
  readonly #open: () => Promise<Duplex>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(open: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#open = open;
  }

  /** @throws {Error} without an answer */
  get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = this.#last.then(() => getText(this, path));
    this.#last = answer.catch(() => {});
    return answer;
  }

  override createConnection(_options: unknown, done?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#open().then(
      (stream) => done?.(null, stream),
      (error: unknown) => done?.(new Error(reasonOf(error)), undefined as never),
    );
    return undefined;
  }

  /** What the base class does here to a socket, such as TCP's keep-alive, no forwarded port needs. */
  override keepSocketAlive(): boolean {
    return true;
  }

  override reuseSocket(): void {}
}

function getText(agent: Agent, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, path, host: "localhost", signal: AbortSignal.timeout(answerMs) }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on("data", (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > maxAnswerBytes) answer.destroy(new Error(`its answer has more than ${maxAnswerBytes} octets`));
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      answer.on("error", reject);
    });
    asked.on("error", (error) =>
      reject(error.name === "TimeoutError" ? new Error(`no answer within ${answerMs / 1000} s`) : error),
    );
    asked.end();
  });
}

function portOf(pod: V1Pod): number {
  const args = pod.spec?.containers[0]?.args ?? [];
  return Number(args.flatMap((text) => /^--?port=(\d+)$/.exec(text)?.[1] ?? [])[0] ?? standardPort);
}

function notRunning({ metadata, spec, status }: V1Pod): string | undefined {
  if (metadata?.deletionTimestamp !== undefined) return "the Pod is terminating";
  if (spec?.nodeName === undefined) return "the Pod is on no node yet";
  if (status?.phase === "Running") return undefined;
  const waiting = status?.containerStatuses?.[0]?.state?.waiting?.reason;
  return `the Pod is ${status?.phase ?? "unknown"}${waiting === undefined ? "" : `: ${waiting}`}`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String((error as { message?: string }).message ?? error);
  const { message, cause } = error;
  const body =
    "body" in error && typeof error.body === "string" ? (/"message":"((?:[^"\\]|\\.)*)"/.exec(error.body)?.[1] ?? "") : "";
  return body || (cause instanceof Error ? `${message}: ${cause.message}` : message).split("\n")[0] || "no reason given";
}
