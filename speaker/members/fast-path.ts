import type { Bfd, BfdWatch } from "#pkg/bfd";
import type { Clock, Millis } from "#pkg/clock";
import type { BfdProfile } from "#pkg/config";
import type { MemberlistThread, PathEnd, PathVerdict } from "#pkg/memberlist";
import { type Address, parseAddress } from "#pkg/net";
import { list } from "#pkg/text";

export interface FastPathOptions {
  readonly memberlist: Pick<MemberlistThread, "keepPaths" | "pathChanged" | "onEvent" | "timing">;
  readonly bfd: Pick<Bfd, "watch">;
  readonly clock: Clock;
}

interface KeptPath {
  readonly address: string;
  readonly watch: BfdWatch;
  /** Since when it is not up; undefined while it is. */
  downSince: Millis | undefined;
}

/** Packets that are missed in a row before a path counts as down. */
const detectMultiplier = 3;
/** For which a session may take to come up before it is a problem: a member that starts answers after some seconds. */
const comingUp: Millis = 15_000;

/**
 * Keeps the paths that the ring asks for, by BFD over one hop (RFC 5881): only hosts on the link can send what counts, with a TTL of 255. A
 * member with whom no session comes up, because it is of another kind, elsewhere or behind a firewall, is watched by the ring alone.
 */
export class FastPath implements Disposable {
  readonly #options: FastPathOptions;
  readonly #kept = new Map<string, KeptPath>(); // member -> path
  readonly #listening: Disposable;
  readonly #distrusted = new Map<string, Millis>(); // member -> until when
  /** The member that keeps the ring from being fast. */
  #slowed: string | undefined;
  #wanted: readonly PathEnd[] = [];
  #profile: BfdProfile | undefined;

  constructor(options: FastPathOptions) {
    this.#options = options;
    this.#listening = options.memberlist.onEvent((event) => {
      if (event.type === "watchPaths") this.#watch(event.members);
      else if (event.type === "timing") this.#slowed = event.because;
      else if (event.type === "pathDistrusted") this.#distrusted.set(event.member, options.clock.now() + event.backOff);
    });
  }

  /** @param intervalMs between two packets; undefined: there are no paths */
  configure(intervalMs: Millis | undefined): void {
    this.#profile = intervalMs === undefined ? undefined : profileOf(intervalMs);
    this.#options.memberlist.keepPaths(intervalMs !== undefined);
    this.#watch(this.#wanted);
  }

  /** Why failures of members, or of some, are found by the ring alone; nothing where no paths are asked for. */
  problems(): readonly string[] {
    const { clock, memberlist } = this.#options;
    if (this.#profile === undefined) return [];
    if (memberlist.timing !== "fast") {
      const because = this.#slowed === undefined ? "" : `, because ${this.#slowed} is of another kind or does not answer in time`;
      return [`the ring is not at the fast pace${because}`];
    }
    const now = clock.now();
    const since = [...this.#kept].filter(([, { downSince }]) => downSince !== undefined && now - downSince >= comingUp);
    for (const [member, until] of this.#distrusted) if (until <= now) this.#distrusted.delete(member);
    return [
      ...(since.length === 0 ? [] : [`there is no BFD session with ${list(since.map(([member]) => member))}`]),
      ...[...this.#distrusted].map(
        ([member, until]) =>
          `BFD took ${member} for gone while it lived, and is used again in ${Math.ceil((until - now) / 1000)} s`,
      ),
    ];
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
    const { bfd, memberlist, clock } = this.#options;
    const tell = ({ verdict }: BfdWatch["status"]) => {
      const path = this.#kept.get(member);
      if (path !== undefined) path.downSince = verdict === "up" ? undefined : (path.downSince ?? clock.now());
      memberlist.pathChanged(member, verdicts[verdict]);
    };
    const before = this.#kept.get(member);
    before?.watch.configure(profile);
    const watch = before?.watch ?? bfd.watch({ peer, multihop: false }, profile, tell);
    if (before === undefined) this.#kept.set(member, { address: peer.toString(), watch, downSince: clock.now() });
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
