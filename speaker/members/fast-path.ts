import type { Bfd, BfdWatch } from "#pkg/bfd";
import type { Millis } from "#pkg/clock";
import type { BfdProfile } from "#pkg/config";
import type { MemberlistThread, PathEnd, PathVerdict } from "#pkg/memberlist";
import { type Address, parseAddress } from "#pkg/net";

export interface FastPathOptions {
  readonly memberlist: Pick<MemberlistThread, "keepPaths" | "pathChanged" | "onEvent">;
  readonly bfd: Pick<Bfd, "watch">;
}

interface KeptPath {
  readonly address: string;
  readonly watch: BfdWatch;
}

/** Packets that are missed in a row before a path counts as down. */
const detectMultiplier = 3;

/**
 * Keeps the paths that the ring asks for, by BFD over one hop (RFC 5881): only hosts on the link can send what counts, with a TTL of 255. A
 * member with whom no session comes up, because it is of another kind, elsewhere or behind a firewall, is watched by the ring alone.
 */
export class FastPath implements Disposable {
  readonly #options: FastPathOptions;
  readonly #kept = new Map<string, KeptPath>(); // member -> path
  readonly #listening: Disposable;
  #wanted: readonly PathEnd[] = [];
  #profile: BfdProfile | undefined;

  constructor(options: FastPathOptions) {
    this.#options = options;
    this.#listening = options.memberlist.onEvent((event) => {
      if (event.type === "watchPaths") this.#watch(event.members);
    });
  }

  /** @param intervalMs between two packets; undefined: there are no paths */
  configure(intervalMs: Millis | undefined): void {
    this.#profile = intervalMs === undefined ? undefined : profileOf(intervalMs);
    this.#options.memberlist.keepPaths(intervalMs !== undefined);
    this.#watch(this.#wanted);
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
    for (const member of [...this.#kept.keys()]) this.#drop(member);
  }

  #watch(members: readonly PathEnd[]): void {
    this.#wanted = members;
    const profile = this.#profile;
    const wanted = new Map(profile === undefined ? [] : members.map(({ name, address }) => [name, address]));
    for (const [member, { address }] of this.#kept) if (wanted.get(member) !== address) this.#drop(member);
    for (const [member, text] of wanted) {
      const address = parseAddress(text);
      if (profile !== undefined && address !== undefined) this.#keep(member, address, profile);
    }
  }

  #keep(member: string, peer: Address, profile: BfdProfile): void {
    const { bfd, memberlist } = this.#options;
    const kept = this.#kept.get(member);
    kept?.watch.configure(profile);
    const tell = ({ verdict }: BfdWatch["status"]) => memberlist.pathChanged(member, verdicts[verdict]);
    const watch = kept?.watch ?? bfd.watch({ peer, multihop: false }, profile, tell);
    if (kept === undefined) this.#kept.set(member, { address: peer.toString(), watch });
    tell(watch.status); // The ring may have started again.
  }

  #drop(member: string): void {
    this.#kept.get(member)?.watch[Symbol.dispose]();
    this.#kept.delete(member);
  }
}

const verdicts: Readonly<Record<BfdWatch["status"]["verdict"], PathVerdict>> = {
  unknown: "unknown",
  up: "up",
  failed: "down",
  adminDown: "unknown",
};

function profileOf(intervalMs: Millis): BfdProfile {
  return {
    name: "failover",
    receiveIntervalMs: intervalMs,
    hasReceiveInterval: true,
    transmitIntervalMs: intervalMs,
    detectMultiplier,
    echoIntervalMs: 0,
    echoMode: false,
    passiveMode: false,
    minimumTtl: 255,
  };
}
