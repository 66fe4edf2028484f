import { wallClock } from "#pkg/clock";
import type { FlagValues } from "#pkg/flags";
import { encodeOffer } from "#pkg/gossip";
import { MemberlistThread, MetadataKey, metallbKey } from "#pkg/memberlist";
import type { flags } from "../flags.ts";
import { MacTable } from "./mac-table.ts";
import type { Members } from "./members.ts";
import { PodMembers } from "./pod-members.ts";
import { RingMembers, type RingMembersOptions } from "./ring-members.ts";

type RingFlags = Pick<FlagValues<typeof flags>, "ml-bindaddr" | "ml-bindport" | "ml-labels" | "ml-secret-key" | "ml-timing">;

export interface MembersChoice extends Omit<RingMembersOptions, "memberlist" | "labels"> {
  readonly values: RingFlags;
  /** Why there is none: see `whyNoRing`. */
  readonly noRing: string | undefined;
  /** See `macsOf`. */
  readonly macs: Uint8Array;
}

/** The speakers' ring, or the readiness of their Pods where there is none. */
export function chooseMembers(choice: MembersChoice): { members: Members; memberlist?: MemberlistThread; macTable?: MacTable } {
  const { values, cluster, namespace, node, noRing, macs, emit, log, clock, random } = choice;
  const secret = values["ml-secret-key"];
  const bind = { address: values["ml-bindaddr"], port: values["ml-bindport"] };
  const labels = values["ml-labels"];
  if (noRing !== undefined) return { members: new PodMembers({ cluster, namespace, labels, emit }) };
  const metadata = new Map([
    [MetadataKey.gossip, encodeOffer(wallClock().getTime())],
    [MetadataKey.macs, macs],
  ]);
  const memberlist = new MemberlistThread({
    name: node,
    bind,
    keys: [metallbKey(secret)],
    metadata,
    timing: values["ml-timing"],
    log,
  });
  const members = new RingMembers({ memberlist, cluster, namespace, labels, node, emit, log, clock, random });
  return { memberlist, macTable: new MacTable(memberlist, metadata), members };
}

/**
 * Why there is no ring.
 * @param canAnnounce whether this node can answer on layer 2: one that cannot is no member, because the others would leave addresses to it
 */
export function whyNoRing(values: RingFlags, canAnnounce: boolean): string | undefined {
  if (values["ml-secret-key"] === "") return "there is no memberlist secret (--ml-secret-key, METALLB_ML_SECRET_KEY)";
  if (values["ml-bindaddr"] === "") return "there is no address for the ring (--ml-bindaddr, METALLB_ML_BIND_ADDR)";
  return canAnnounce ? undefined : "this node cannot answer on layer 2";
}
