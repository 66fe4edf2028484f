import { connect } from "node:net";
import type { Millis } from "#pkg/clock";
import { ApiError, type Backend, type Cluster } from "#pkg/k8s";
import { type Asker, type InterfaceState, type Layer2, maxQuestions, sourceFor, type WireQuestion } from "#pkg/layer2";
import { SystemCallError } from "#pkg/linux";
import { type Address, matchesInterface, parseAddress } from "#pkg/net";
import type { NextHop, SpeakerView, TestedAddress, WireTest } from "./core/index.ts";
import type { Members } from "./members/members.ts";

export interface ProberOptions {
  readonly view: Pick<SpeakerView, "probePlan" | "roundTest" | "placements" | "placedCount" | "poolOf" | "namesHere" | "node">;
  readonly layer2: Pick<Layer2, "interfaces">;
  readonly asker: Pick<Asker, "ask">;
  readonly members: Pick<Members, "describe">;
  readonly cluster: Pick<Cluster, "backends">;
}

/** The result of a connection from the node's own kernel. */
export type Connected = "accepts" | "refuses" | "unreachable" | "silent";

/** One attempt to reach an address, or the reason for making no attempt. */
export type Attempt = { readonly tested: TestedAddress } | { readonly owner: string; readonly why: string };

/** The findings of an announcing node about itself: behind the address, and past it. */
export interface OwnFindings {
  readonly service: string;
  readonly port: number;
  /** The connection to the address, as the node's own programs have it: through kube-proxy. */
  readonly connection: Connected;
  /** Some ready endpoints, this node's first, and how each takes a connection; undefined where the API does not say them. */
  readonly endpoints: readonly (Backend & { readonly connection: Connected })[] | undefined;
}

export interface Probed {
  readonly attempts: readonly Attempt[];
  readonly own: OwnFindings | undefined;
  readonly isHere: boolean;
  readonly nextHops: readonly NextHop[];
  /** Why nothing was done; empty where something was. */
  readonly why: string;
}

/** A part of a round through all addresses. */
export interface RoundPart {
  readonly attempts: readonly Attempt[];
  /** Where the next part begins; undefined at the end. */
  readonly next: number | undefined;
}

const connectMs: Millis = 1_000;
const maxBackends = 3;
// Limit of placements that one part looks at, which takes a millisecond or two.
const maxLooked = 2_000;

/** Tries addresses for somebody who asks: one question at a time, so that nobody floods the LAN, or the Pods, from here. */
export class Prober {
  readonly #options: ProberOptions;
  #isBusy = false;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Whether another question is being answered. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Tries one address through each node that this one is to try, and on this node where it announces the address. */
  async probe(address: Address): Promise<Probed> {
    const { tests, own, isHere, nextHops, why } = this.#options.view.probePlan(address);
    if (why !== "") return { attempts: [], own: undefined, isHere, nextHops, why };
    return this.#alone(async () => {
      const [attempts, findings] = await Promise.all([
        this.#try(tests, true),
        own === undefined ? undefined : this.#lookHere(address, own),
      ]);
      return { attempts, own: findings, isHere, nextHops, why: "" };
    });
  }

  /** Tries what this node is to try of all addresses, a part of them: those from the one with this number. */
  async round(from: number): Promise<RoundPart> {
    const { view } = this.#options;
    return this.#alone(async () => {
      const tests: WireTest[] = [];
      const all = view.placements().drop(from);
      let next = from;
      for (const placements of all.take(maxLooked)) {
        next++;
        tests.push(...placements.flatMap((placement) => view.roundTest(placement) ?? []));
        if (tests.length >= maxQuestions) break;
      }
      return { attempts: await this.#try(tests.slice(0, maxQuestions), false), next: next < view.placedCount ? next : undefined };
    });
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }

  async #try(tests: readonly WireTest[], isSized: boolean): Promise<readonly Attempt[]> {
    const attempts: Attempt[] = [];
    const asking = new Map<InterfaceState, { readonly test: WireTest; readonly question: WireQuestion }[]>();
    const hops = tests.some(({ isRouted }) => isRouted) ? await this.#addressesOfNodes() : new Map<string, readonly Address[]>();
    for (const test of tests.slice(0, maxQuestions)) {
      const { address, port, owner } = test;
      const way = test.isRouted ? this.#wayTo(hops.get(owner) ?? []) : { link: linkFor(address, this.#options) };
      if (way?.link === undefined) {
        const why = test.isRouted
          ? `${owner} has no address in a subnet of this node`
          : "no interface of this node has an address in its subnet";
        attempts.push({ owner, why });
        continue;
      }
      const question = { address, port, isSized, ...("via" in way && { via: way.via }) };
      asking.set(way.link, [...(asking.get(way.link) ?? []), { test, question }]);
    }
    for (const [link, those] of asking)
      try {
        const answers = await this.#options.asker.ask(
          link,
          those.map(({ question }) => question),
        );
        for (const { test, question } of those) {
          const answer = answers.get(question);
          attempts.push(
            answer === undefined
              ? { owner: test.owner, why: `${link.name} has no address of the family, or has just changed` }
              : { tested: { ...test, interface: link.name, answer } },
          );
        }
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        attempts.push(...those.map(({ test: { owner } }) => ({ owner, why: error.message })));
      }
    return attempts;
  }

  async #lookHere(
    address: Address,
    { key, port, portName }: { key: string; port: number; portName: string },
  ): Promise<OwnFindings> {
    const [connection, endpoints] = await Promise.all([
      connectTo(address.toString(), port),
      this.#endpoints(address, key, portName),
    ]);
    return { service: key, port, connection, endpoints };
  }

  async #endpoints(address: Address, key: string, portName: string): Promise<OwnFindings["endpoints"]> {
    const { cluster, view } = this.#options;
    try {
      const all = await cluster.backends(key, { portName, family: address.family });
      const here = all.filter(({ node }) => node === view.node);
      const some = [...here, ...all.filter(({ node }) => node !== view.node)].slice(0, maxBackends);
      return await Promise.all(some.map(async (one) => ({ ...one, connection: await connectTo(one.address, one.port) })));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return undefined;
    }
  }

  async #addressesOfNodes(): Promise<ReadonlyMap<string, readonly Address[]>> {
    const { members } = await this.#options.members.describe();
    return new Map(members.map(({ node, addresses }) => [node, addresses.flatMap((text) => parseAddress(text) ?? [])]));
  }

  #wayTo(hops: readonly Address[]): { readonly via: Address; readonly link: InterfaceState } | undefined {
    for (const via of hops) {
      const link = this.#running().find((one) => sourceFor(one, via) !== undefined);
      if (link !== undefined) return { via, link };
    }
    return undefined;
  }

  #running(): readonly InterfaceState[] {
    return this.#options.layer2.interfaces().filter(({ running }) => running);
  }
}

/** Finds the interface from which an address can be tried: it runs, the pool of the address has it, and it is in the same subnet. */
export function linkFor(
  address: Address,
  { view, layer2 }: { readonly view: Pick<SpeakerView, "poolOf" | "namesHere">; readonly layer2: Pick<Layer2, "interfaces"> },
): InterfaceState | undefined {
  const names = view.namesHere(view.poolOf(address)?.interfaces ?? []);
  return layer2
    .interfaces()
    .find((link) => link.running && matchesInterface(names, link.name) && sourceFor(link, address) !== undefined);
}

/** Connects by the node's own kernel, and closes at once. */
function connectTo(host: string, port: number): Promise<Connected> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectMs });
    const end = (result: Connected) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end("accepts"));
    socket.once("timeout", () => end("silent"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => end(code === "ECONNREFUSED" ? "refuses" : "unreachable"));
  });
}
