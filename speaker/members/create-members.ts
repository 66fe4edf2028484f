import { readFileSync } from "node:fs";
import { join } from "node:path";
import { wallClock } from "#pkg/clock";
import type { FlagValues } from "#pkg/flags";
import { encodeOffer } from "#pkg/gossip";
import type { InterfaceState, Layer2 } from "#pkg/layer2";
import { addressesByInterface } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { MemberlistThread, MetadataKey } from "#pkg/memberlist";
import { flags } from "../flags.ts";
import { macsOf } from "./macs.ts";
import type { Members } from "./members.ts";
import { PodMembers } from "./pod-members.ts";
import { proofKeys, RingKeys, ringKeys } from "./ring-keys.ts";
import { RingMembers, type RingMembersOptions } from "./ring-members.ts";

type RingFlags = Pick<
  FlagValues<typeof flags>,
  | "announce-for"
  | "host"
  | "ml-bindaddr"
  | "ml-bindport"
  | "ml-labels"
  | "ml-secret-key"
  | "ml-secret-key-path"
  | "ml-secret-name"
  | "ml-timing"
>;

export interface MembersOptions extends Omit<RingMembersOptions, "memberlist" | "metadata" | "keys" | "labels"> {
  readonly values: RingFlags;
  /** Why there is no ring: see `whyNoRing`. */
  readonly noRing: string | undefined;
  /** Interfaces of this node. */
  readonly interfaces: readonly InterfaceState[];
  /** It gets the ring's keys. */
  readonly layer2: Pick<Layer2, "setKeys">;
}

/** The speakers' ring, or the readiness of their Pods without a ring. */
export function createMembers(options: MembersOptions): { members: Members; memberlist?: MemberlistThread } {
  const { values, cluster, namespace, node, noRing, interfaces, layer2, gossip, emit, log, clock, random } = options;
  const secret = ringSecret(values);
  const own = [...addressesByInterface().values()].flat().map(({ address }) => `${address}`);
  const port = values["ml-bindport"];
  const isBeside = values["announce-for"] === "all"; // The speaker of the same node has the port.
  const bind = { address: ringAddress(values, own, log), port: isBeside ? port + 1 : port };
  const labels = values["ml-labels"] || flags["ml-labels"].fallback; // None would select all Pods of the namespace.
  if (noRing !== undefined) return { members: new PodMembers({ cluster, namespace, labels, emit }) };
  const metadata = new Map([
    [MetadataKey.gossip, encodeOffer(wallClock().getTime())],
    [MetadataKey.macs, macsOf(isBeside ? [] : interfaces)],
    [MetadataKey.starting, new Uint8Array()],
  ]);
  layer2.setKeys(proofKeys([secret]));
  const memberlist = new MemberlistThread({
    name: node,
    bind,
    keys: ringKeys([secret]),
    metadata,
    timing: values["ml-timing"],
    log,
  });
  memberlist.prepare();
  const secretName = values["ml-secret-name"];
  const keys =
    secretName === ""
      ? undefined
      : new RingKeys({
          memberlist,
          layer2,
          gossip,
          first: secret,
          cluster,
          namespace,
          secret: secretName,
          log,
          clock,
        });
  const common = { cluster, namespace, labels, node, gossip, emit, log, clock, random };
  const members = new RingMembers({ ...common, joinPort: isBeside ? port : undefined, memberlist, keys, metadata });
  return { memberlist, members };
}

/** The text of which the ring's keys are made; empty for a ring without keys. @throws where the file cannot be read: a ring without its key would be another one */
export function ringSecret(values: Pick<RingFlags, "ml-secret-key" | "ml-secret-key-path">): string {
  const { "ml-secret-key": given, "ml-secret-key-path": folder } = values;
  return given !== "" || folder === "" ? given : readFileSync(join(folder, "secretkey"), "utf8");
}

/**
 * Where the ring's port is opened. A container that is started again after its node got another address is still given the one that the Pod had
 * when it was new; only the node's, at which it serves HTTP, is that of now.
 * @param own addresses that the node has
 */
export function ringAddress(values: Pick<RingFlags, "ml-bindaddr" | "host">, own: readonly string[], log: Log): string {
  const { "ml-bindaddr": given, host } = values;
  const isOther = !own.includes(given) && own.includes(host) && given.includes(":") === host.includes(":");
  if (!isOther) return given;
  log.warn("this node does not have the address that it was given for the speakers' ring, its own is used", {
    op: "startup",
    given,
    address: host,
  });
  return host;
}

/**
 * Why there is no ring.
 * @param failed why this node cannot answer on layer 2: it is no member then, because the others would leave addresses to it
 */
export function whyNoRing(values: RingFlags, failed: string | undefined, log: Log): string | undefined {
  const reason = reasonWithout(values, failed === undefined);
  if (reason !== undefined) log.info("no speakers' ring, nodes with a ready speaker Pod are active", { op: "startup", reason });
  return reason;
}

function reasonWithout(values: RingFlags, canAnnounce: boolean): string | undefined {
  if (ringSecret(values) === "") return "there is no memberlist secret (--ml-secret-key, METALLB_ML_SECRET_KEY)";
  if (values["ml-bindaddr"] === "") return "there is no address for the ring (--ml-bindaddr, METALLB_ML_BIND_ADDR)";
  if (values["ml-labels"] === "") return "there are no labels of the speaker Pods (--ml-labels)"; // As for MetalLB.
  return canAnnounce ? undefined : "this node cannot answer on layer 2";
}
