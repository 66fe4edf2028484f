import { Allocator, finding, type IpamPool, poolsOf, type SavedAllocator, type Settlement, type Stranded } from "#pkg/allocator";
import type { Pool, Quota } from "#pkg/config";
import {
  type CoreKind,
  decode,
  decodeGraph,
  type Entry,
  encode,
  encodeGraph,
  entryLine,
  entryPieces,
  type Plain,
  type ReplayedCore,
} from "#pkg/core";
import type { Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import { type Decision, decide } from "./decide.ts";

type Labels = Parameters<Allocator["setNamespace"]>[1];

/** Inputs of the controller's decisions. */
export type AssignmentInput =
  | { readonly type: "pools"; readonly pools: readonly Pool[]; readonly quotas: readonly Quota[] }
  | { readonly type: "namespace"; readonly name: string; readonly labels: Labels }
  | { readonly type: "ipam"; readonly pools: readonly IpamPool[] }
  | { readonly type: "occupied"; readonly occupants: ReadonlyMap<string, string> }
  | { readonly type: "restore" | "adopt"; readonly request: AddressRequest; readonly recorded: readonly Address[] }
  | { readonly type: "settle"; readonly request: AddressRequest }
  | { readonly type: "release"; readonly service: string }
  | { readonly type: "giveUp"; readonly service: string; readonly address: Address }
  | { readonly type: "clear" }
  | { readonly type: "decide"; readonly key: string; readonly service: Service | undefined };

/** Inputs that may change what any Service holds. */
export const commonInputs: ReadonlySet<string> = new Set(["pools", "clear"]);

/** Called with each input and the decisions on it. Inputs do not change afterwards. */
export type Record = (input: AssignmentInput, decisions: readonly Plain[]) => void;

/** An input with the decisions on it, as a line for a recorder, or in pieces where it may be long. There is no secret in any of them. */
export function recordLine(at: number, input: AssignmentInput, decisions: readonly Plain[]): string | Iterator<string, void> {
  if (input.type === "pools" || input.type === "ipam") return entryPieces({ at, input, decisions }, String);
  return entryLine({ at, input: encode(input, String), decisions });
}

/** An allocator, and the decisions that are made with it, of which each input is recorded: the same inputs give a fresh one the same decisions. */
export class RecordedAllocator extends Allocator {
  readonly #record: Record;
  #isWithin = false; // Calls that follow from a recorded input are not recorded as inputs.

  constructor(record: Record = () => {}) {
    super();
    this.#record = record;
  }

  /** See `decide`. */
  decide(key: string, service: Service | undefined): Decision {
    const held = this.held(key)?.addresses ?? [];
    return this.#note(
      { type: "decide", key, service },
      () => decide(key, service, this),
      (decision) => describeDecision(key, held, decision),
    );
  }

  override setPools(pools: readonly Pool[], quotas: readonly Quota[] = []): Stranded[] {
    return this.#note({ type: "pools", pools, quotas }, () => super.setPools(pools, quotas), describeStranded);
  }

  /** Recorded as it ends: nothing changes before. */
  override *replacePools(pools: readonly Pool[], quotas: readonly Quota[]): Generator<undefined, Stranded[]> {
    const stranded = yield* super.replacePools(pools, quotas);
    return this.#note({ type: "pools", pools, quotas }, () => stranded, describeStranded);
  }

  override setNamespace(name: string, labels: Labels): boolean {
    return this.#note(
      { type: "namespace", name, labels },
      () => super.setNamespace(name, labels),
      () => [],
    );
  }

  override setOccupied(occupants: ReadonlyMap<string, string>): void {
    this.#note(
      { type: "occupied", occupants },
      () => super.setOccupied(occupants),
      () => [],
    );
  }

  override setIpam(pools: readonly IpamPool[]): void {
    this.#note(
      { type: "ipam", pools },
      () => super.setIpam(pools),
      () => [],
    );
  }

  override restore(request: AddressRequest, recorded: readonly Address[]): Settlement {
    return this.#note({ type: "restore", request, recorded }, () => super.restore(request, recorded), describeSettlement);
  }

  override adopt(request: AddressRequest, recorded: readonly Address[]): Settlement {
    return this.#note({ type: "adopt", request, recorded }, () => super.adopt(request, recorded), describeSettlement);
  }

  override settle(request: AddressRequest): Settlement {
    return this.#note({ type: "settle", request }, () => super.settle(request), describeSettlement);
  }

  override release(service: string): boolean {
    return this.#note(
      { type: "release", service },
      () => super.release(service),
      (released) => [{ type: "released", released }],
    );
  }

  override giveUp(service: string, address: Address): void {
    this.#note(
      { type: "giveUp", service, address },
      () => super.giveUp(service, address),
      () => [{ type: "gaveUp", service, address: address.toString() }],
    );
  }

  override clear(): void {
    this.#note(
      { type: "clear" },
      () => super.clear(),
      () => [],
    );
  }

  #note<T>(input: AssignmentInput, work: () => T, describe: (result: T) => readonly Plain[]): T {
    if (this.#isWithin) return work();
    this.#isWithin = true;
    try {
      const result = work();
      this.#record(input, describe(result));
      return result;
    } finally {
      this.#isWithin = false;
    }
  }
}

function describeDecision(
  key: string,
  held: readonly Address[],
  { allocation, noRight, lost, left, unmet, warning }: Decision,
): Plain[] {
  const addresses = allocation?.addresses ?? [];
  const isSame = addresses.join() === held.join();
  const released = held.filter((address) => !addresses.some((one) => one.equals(address))).map(String);
  const gaveUp = lost ?? left;
  const refused = warning?.message ?? (unmet && finding(unmet));
  const decided = {
    type: "decided",
    service: key,
    ...(!isSame &&
      addresses.length > 0 && {
        addresses: addresses.map(String),
        pool: allocation === undefined ? "" : poolsOf(allocation).join(),
      }),
    ...(released.length > 0 && { released, why: noRight ?? (gaveUp === undefined ? "otherRequested" : finding(gaveUp.refusal)) }),
    ...(refused !== undefined && { refused }),
  };
  return isSame && refused === undefined ? [] : [decided];
}

function describeSettlement({ allocation, unmet }: Settlement): Plain[] {
  const addresses = allocation?.addresses ?? [];
  const pool = allocation === undefined ? "" : poolsOf(allocation).join();
  return [{ type: "holds", pool, addresses: addresses.map(String), ...(unmet !== undefined && { refused: finding(unmet) }) }];
}

function describeStranded(stranded: readonly Stranded[]): Plain[] {
  return stranded.map(({ service, address }) => ({ type: "stranded", service, address: address.toString() }));
}

/** Runs recorded inputs again. */
class AssignmentReplay implements ReplayedCore {
  #decisions: readonly Plain[] = [];
  readonly #allocator = new RecordedAllocator((_input, decisions) => {
    this.#decisions = decisions;
  });

  constructor(saved?: SavedAllocator) {
    if (saved !== undefined) this.#allocator.restoreFrom(saved);
  }

  save(): Plain {
    return encodeGraph(this.#allocator.save(), {});
  }

  /** @returns the decisions, as they are recorded @throws {Error} for an input that cannot be one */
  run({ input: plain }: Pick<Entry, "input">): readonly Plain[] {
    const allocator = this.#allocator;
    const input = decode(plain) as AssignmentInput;
    switch (input.type) {
      case "decide":
        allocator.decide(input.key, input.service);
        break;
      case "pools":
        allocator.setPools(input.pools, input.quotas);
        break;
      case "namespace":
        allocator.setNamespace(input.name, input.labels);
        break;
      case "ipam":
        allocator.setIpam(input.pools);
        break;
      case "occupied":
        allocator.setOccupied(input.occupants);
        break;
      case "restore":
      case "adopt":
        allocator[input.type](input.request, input.recorded);
        break;
      case "settle":
        allocator.settle(input.request);
        break;
      case "giveUp":
        allocator.giveUp(input.service, input.address);
        break;
      case "release":
        allocator.release(input.service);
        break;
      case "clear":
        allocator.clear();
        break;
      default:
        throw new TypeError(`Cannot run a recording: there is no input ${JSON.stringify(input satisfies never)}`);
    }
    return this.#decisions;
  }
}

export const assignmentCore: CoreKind = {
  format: 3,
  begin: () => new AssignmentReplay(),
  restore: (saved) => new AssignmentReplay(decodeGraph(saved, {}) as SavedAllocator),
};
