import { Agent, request } from "node:http";
import { connect as connectTcp } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { type KubeConfig, PortForward } from "@kubernetes/client-node";
import { SerialQueue } from "#pkg/collections";
import { text } from "#pkg/untrusted";
import { forCluster, UsageError } from "../command.ts";
import type { RawObject } from "./api.ts";
import { argumentsOf, flagOf, memberOf, programOf, withoutReplaced } from "./installation.ts";
import { KubeApi } from "./kube-api.ts";
import { openMs, readKubeconfig } from "./kubeconfig.ts";
import { endingOf, notRunning } from "./pod-state.ts";
import type { ClusterOptions, Processes, Target } from "./processes.ts";

const standardPort = 7472;
// A process that hangs answers nothing, and its kernel still takes connections. A command with one of them takes 3 s.
const silenceMs = 2_000;
// One that has answered works: it makes a list of 10,000 Services before it sends the first octet, and is slow on a busy node.
const busyMs = 15_000;
const podListMs = 5_000;
const maxAnswerBytes = 64 << 20; // A list of 10,000 Services has some megabytes.

/**
 * Finds the Pods with the user's kubeconfig. Each one that is asked gets a forwarded port, which is kept for the next question.
 * @param before an earlier answer, whose forwarded ports are taken over; it is of no use any more
 * @throws {UsageError} where there is no cluster to be asked
 */
export async function connect(options: ClusterOptions, before?: Processes): Promise<Processes> {
  const { kubeconfig, context, systemNamespace, isNodeLocal, show } = options;
  if (isNodeLocal === true) return NodeLocalProcess.find();
  const api = new KubeApi({ kubeconfig, context, show, silenceMs: podListMs });
  const pods = await api.list(`/api/v1/namespaces/${encodeURIComponent(systemNamespace)}/pods`);
  if (pods.type !== "found") {
    const why = pods.type === "unread" ? pods.why : "it has no Pods";
    const onNode = "on a node, ingotctl status --node-local asks its speaker without the API";
    throw new UsageError(
      `cannot ask the API server ${api.server} for the Pods of namespace ${systemNamespace}: ${why}; ${onNode}`,
    );
  }
  const earlier = before instanceof ForwardedProcesses ? before.takeAgents() : undefined;
  return new ForwardedProcesses(api.kubeconfig, options, pods.value as RawObject[], earlier);
}

/** The kubeconfig's context, with the namespace for Services that are named without one. @throws {UsageError} where it cannot be read */
export function contextOf(options: ClusterOptions): { readonly name: string; readonly namespace: string } {
  const config = readKubeconfig(options);
  const name = config.getCurrentContext();
  return { name, namespace: config.getContextObject(name)?.namespace ?? "default" };
}

class ForwardedProcesses implements Processes {
  readonly targets: readonly Target[];
  readonly #forward: PortForward;
  readonly #options: ClusterOptions;
  readonly #ports = new Map<string, number>(); // pod -> port
  readonly #agents = new Map<string, PodAgent>(); // uid of the Pod -> its connection
  readonly #uids = new Map<string, string>(); // pod -> uid

  constructor(
    config: KubeConfig,
    options: ClusterOptions,
    pods: readonly RawObject[],
    earlier: ReadonlyMap<string, PodAgent> = new Map(),
  ) {
    this.#forward = new PortForward(config);
    this.#options = options;
    const targets = withoutReplaced(pods).flatMap((pod): Target[] => {
      const program = programOf(pod);
      const name = pod.metadata?.name;
      if (program === undefined || name === undefined) return [];
      this.#ports.set(name, portOf(pod));
      this.#uids.set(name, pod.metadata?.uid ?? name);
      const node = memberOf(pod, text(pod.spec?.nodeName));
      return [{ program, pod: name, node, notRunning: notRunning(pod), ending: endingOf(pod) }];
    });
    this.targets = targets.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
    const uids = new Set(this.#uids.values());
    for (const [uid, agent] of earlier)
      if (uids.has(uid)) this.#agents.set(uid, agent);
      else agent.destroy();
  }

  async get({ pod }: Target, path: string): Promise<unknown> {
    const uid = this.#uids.get(pod) ?? pod;
    const agent = this.#agents.get(uid) ?? new PodAgent(() => this.#open(pod));
    this.#agents.set(uid, agent);
    const { status, body } = await agent.get(path, this);
    // A recording is run again: its texts stay what was decided.
    const said = path === "/v1/recorder" ? body : forCluster(body, this.#options);
    return bodyOf({ status, body: said }, path);
  }

  /** All forwarded ports, which are the caller's to close from now on: uid of the Pod -> its connection. */
  takeAgents(): ReadonlyMap<string, PodAgent> {
    const agents = new Map(this.#agents);
    this.#agents.clear();
    return agents;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  async #open(pod: string): Promise<Duplex> {
    const [ours, theirs] = duplexPair();
    const refused = duplexPair();
    const socket = (await this.#forward.portForward(
      this.#options.systemNamespace,
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

/** A process that is not ready answers /readyz by 503, and says why. */
function bodyOf({ status, body }: { readonly status: number; readonly body: string }, path: string): unknown {
  if (status === 200 || (status === 503 && path === "/readyz")) return path.startsWith("/v1/") ? JSON.parse(body) : body;
  if (status === 404) throw new Error(`it has no ${path}: it is MetalLB, or another version of Ingot`);
  throw new Error(`it answers ${status}: ${body.trim().slice(0, 200)}`);
}

/** The speaker on this machine: it answers clients of its own host, so that this takes no rights in the cluster. */
class NodeLocalProcess implements Processes {
  readonly targets: readonly Target[];
  readonly isNodeLocal = true;
  readonly #agent: PodAgent;

  private constructor(agent: PodAgent, node: string) {
    this.#agent = agent;
    this.targets = [{ program: "speaker", pod: "the speaker on this node", node, notRunning: undefined }];
  }

  /** @throws {UsageError} where none answers */
  static async find(port = standardPort): Promise<NodeLocalProcess> {
    const agent = new PodAgent(async () => connectTcp({ host: "127.0.0.1", port }));
    try {
      const { node } = bodyOf(await agent.get("/v1/node", agent), "/v1/node") as { readonly node: string };
      return new NodeLocalProcess(agent, node);
    } catch (error) {
      agent.destroy();
      throw new UsageError(`no speaker answers on 127.0.0.1:${port}: ${(error as Error).message}`, { cause: error });
    }
  }

  async get(_target: Target, path: string): Promise<unknown> {
    return bodyOf(await this.#agent.get(path, this), path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
  }
}

/**
 * HTTP over one forwarded port: one request at a time, over a connection that is kept for the next one. A process that does not answer a
 * request of a round in time is not asked again in that round.
 */
export class PodAgent extends Agent {
  readonly #open: () => Promise<Duplex>;
  readonly #requests = new SerialQueue();
  #silentIn: object | undefined; // The round in which the process did not answer.
  #answeredIn: object | undefined; // The round in which it did.

  constructor(open: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#open = open;
  }

  /** @param round what asks; a process is found again for each round @throws {Error} without an answer */
  get(path: string, round: object): Promise<{ readonly status: number; readonly body: string }> {
    return this.#requests.run(async () => {
      if (this.#silentIn === round) throw new Silence(silenceMs);
      try {
        const answer = await getText(this, path, this.#answeredIn === round ? busyMs : silenceMs);
        this.#answeredIn = round;
        return answer;
      } catch (error) {
        if (error instanceof Silence) this.#silentIn = round;
        throw error;
      }
    });
  }

  override createConnection(_options: unknown, done?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#open().then(
      (stream) => done?.(null, Object.assign(stream, { ref: () => stream })), // The base class calls it on a socket that it uses again.
      (error: unknown) => done?.(new Error(reasonOf(error)), undefined as never),
    );
    return undefined;
  }

  /** No forwarded port needs the base class's work on a socket, such as TCP's keep-alive. */
  override keepSocketAlive(): boolean {
    return true;
  }
}

/** A process sends nothing. */
class Silence extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms / 1000} s`);
  }
}

function getText(agent: Agent, path: string, ms: number): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const giveUp = (after: number) => () => {
      reject(new Silence(after));
      asked.destroy();
    };
    let silence = setTimeout(giveUp(openMs), openMs);
    const asked = request({ agent, path, host: "localhost" }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on("data", (chunk: Buffer) => {
        silence.refresh();
        length += chunk.length;
        chunks.push(chunk);
        if (length > maxAnswerBytes) answer.destroy(new Error(`its answer has more than ${maxAnswerBytes} octets`));
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      answer.on("error", reject);
    });
    asked.on("socket", () => {
      clearTimeout(silence);
      silence = setTimeout(giveUp(ms), ms);
    });
    asked.on("error", reject);
    asked.on("close", () => clearTimeout(silence));
    asked.end();
  });
}

/** Controllers first, each program's by node. */
function orderOf({ program, node, pod }: Target): string {
  return `${program} ${node} ${pod}`;
}

function portOf(pod: RawObject): number {
  return Number(flagOf(argumentsOf(pod), "port") ?? standardPort);
}

/** The library reports only the status of a connection that the API server refused. */
const refusals: Readonly<Record<string, string>> = {
  "401": "the API server does not know you",
  "403": "you may not forward its port: that takes the rights to get and create pods/portforward",
  "404": "the Pod is gone",
};

function reasonOf(error: unknown): string {
  const { message: said } = error as { message?: string };
  const [, code = ""] = /^Unexpected server response: (\d+)$/.exec(said ?? "") ?? [];
  const refused = refusals[code];
  if (refused !== undefined) return refused;
  if (!(error instanceof Error)) return String((error as { message?: string }).message ?? error);
  const { message, cause } = error;
  const body =
    "body" in error && typeof error.body === "string" ? (/"message":"((?:[^"\\]|\\.)*)"/.exec(error.body)?.[1] ?? "") : "";
  return body || (cause instanceof Error ? `${message}: ${cause.message}` : message).split("\n")[0] || "no reason given";
}
