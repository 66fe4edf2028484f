import type { Millis } from "#pkg/clock";
import type { Mac } from "#pkg/net";

/** A router that was heard on a link, by its link-local address. */
export interface Candidate {
  readonly address: bigint;
  /** The sender of its frames. */
  readonly mac: Mac;
  readonly heardAt: Millis;
  /** When it had its turn without a session; -Infinity for never. */
  readonly triedAt: Millis;
}

/** The routers are asked to advertise themselves; who does is known at `endsAt`. */
interface RollCall {
  readonly beganAt: Millis;
  readonly endsAt: Millis;
  /** The router had its time: another one that answers has its turn. */
  readonly isRotating: boolean;
}

/** One link, and what is known of its routers. Infinity is a deadline that is not set. */
export interface Link {
  readonly isUp: boolean;
  /** The router that BGP is to speak with. */
  readonly router: Candidate | undefined;
  /** The one heard last is the last. */
  readonly others: readonly Candidate[];
  /** The router of the last session: whatever else is heard, it is remembered. */
  readonly served: bigint | undefined;
  /** There is a BGP session with the router. */
  readonly isEstablished: boolean;
  readonly rollCall: RollCall | undefined;
  readonly rollCallAt: Millis;
  /** The end of the time that a router has for its session, while others are there. */
  readonly patienceEndsAt: Millis;
  readonly solicitAt: Millis;
  readonly solicitWaitMs: Millis;
  readonly advertiseAt: Millis;
  readonly advertisedAt: Millis;
  /** Since the link came up. */
  readonly advertisements: number;
}

export type LinkEvent =
  | { readonly type: "up" | "down" | "solicitation" | "timer" }
  | { readonly type: "advertisement"; readonly source: bigint; readonly mac: Mac }
  | { readonly type: "session"; readonly isEstablished: boolean };

export type LinkEffect =
  | { readonly type: "advertise" | "solicit" }
  /** BGP is to speak with another router, or the first one. */
  | { readonly type: "chosen"; readonly before: bigint | undefined; readonly router: bigint };

/** Routers besides the chosen one that are remembered; a flood of others drives out the one heard longest ago. */
export const maxOthers = 8;
/** Others that were not heard for so long are gone: no router advertises itself less often (RFC 4861, section 6.2.1). */
export const forgetAfterMs: Millis = 1_800_000;
/** Between two advertisements at least (MIN_DELAY_BETWEEN_RAS), however many solicitations come. */
export const minAdvertiseMs: Millis = 3_000;
const maxAnswerDelayMs: Millis = 500; // MAX_RA_DELAY_TIME
const initialAdvertisements = 3; // MAX_INITIAL_RTR_ADVERTISEMENTS
const advertiseMs = { initial: 4_000, least: 7_000, most: 10_000 } as const;
// RFC 7559: as long as nobody answers, less and less often.
const solicitMs = { first: 4_000, most: 60_000 } as const;
const rollCallMs: Millis = 3_000;
const rollCallEveryMs: Millis = 10_000;
const solicitInRollCallMs: Millis = 1_000;
const patienceMs: Millis = 30_000;

export function newLink(): Link {
  return {
    isUp: false,
    router: undefined,
    others: [],
    served: undefined,
    isEstablished: false,
    rollCall: undefined,
    rollCallAt: -Infinity,
    patienceEndsAt: Infinity,
    solicitAt: Infinity,
    solicitWaitMs: solicitMs.first,
    advertiseAt: Infinity,
    advertisedAt: -Infinity,
    advertisements: 0,
  };
}

export function nextDeadline({ isUp, rollCall, patienceEndsAt, solicitAt, advertiseAt }: Link): Millis {
  return isUp ? Math.min(rollCall?.endsAt ?? Infinity, patienceEndsAt, solicitAt, advertiseAt) : Infinity;
}

/**
 * Advances a link by one event. The first router that is heard is the one for BGP. It stays while there is a session with it. Without a
 * session another one takes its place if that one answers a solicitation and the first one does not, or if the first one had its time.
 * @param chance from 0 to below 1
 */
export function step(link: Link, event: LinkEvent, now: Millis, chance: number): [Link, LinkEffect[]] {
  switch (event.type) {
    case "up": {
      const patienceEndsAt = link.router === undefined || link.isEstablished ? Infinity : now + patienceMs;
      const fresh = { isUp: true, advertisements: 0, advertiseAt: now, solicitWaitMs: solicitMs.first, patienceEndsAt };
      return [begin({ ...link, ...fresh }, now), []];
    }
    case "down":
      return [{ ...link, isUp: false, rollCall: undefined }, []];
    case "solicitation": {
      const answerAt = Math.max(now + chance * maxAnswerDelayMs, link.advertisedAt + minAdvertiseMs);
      return [{ ...link, advertiseAt: Math.min(link.advertiseAt, answerAt) }, []];
    }
    case "advertisement":
      return heard(link, event, now);
    case "session":
      return [sessionChanged(link, event.isEstablished, now), []];
    case "timer":
      return timer(link, now, chance);
    default:
      return event satisfies never;
  }
}

/** Looks for a router, or whether the known one is there still. */
function begin(link: Link, now: Millis): Link {
  return link.router === undefined ? { ...link, solicitAt: now } : callRoll(link, now, false);
}

function callRoll(link: Link, now: Millis, isRotating: boolean): Link {
  const rollCall = { beganAt: now, endsAt: now + rollCallMs, isRotating };
  return { ...link, rollCall, rollCallAt: now, solicitAt: now };
}

type Advertisement = Extract<LinkEvent, { type: "advertisement" }>;

function heard(link: Link, { source, mac }: Advertisement, now: Millis): [Link, LinkEffect[]] {
  const { router, rollCall } = link;
  if (router === undefined)
    return [
      {
        ...link,
        router: { address: source, mac, heardAt: now, triedAt: -Infinity },
        solicitAt: Infinity,
        patienceEndsAt: now + patienceMs,
      },
      [{ type: "chosen", before: undefined, router: source }],
    ];
  if (source === router.address) return [{ ...link, router: { ...router, mac, heardAt: now } }, []];
  // A host is one router, however many addresses it makes up: only an earlier one of its turns counts.
  const isSame = (one: Candidate) => one.address === source || (one.mac === mac && one.address !== link.served);
  const same = link.others.filter(isSame);
  const triedAt = Math.max(-Infinity, ...same.map((one) => one.triedAt));
  const known = [
    ...link.others.filter((one) => !isSame(one) && now - one.heardAt < forgetAfterMs),
    { address: source, mac, heardAt: now, triedAt },
  ];
  const oldest = known.findIndex(({ address }) => address !== link.served);
  const others = known.length > maxOthers ? known.toSpliced(oldest, 1) : known;
  const isDue = !link.isEstablished && rollCall === undefined && now - link.rollCallAt >= rollCallEveryMs;
  return [isDue ? callRoll({ ...link, others }, now, false) : { ...link, others }, []];
}

function sessionChanged(link: Link, isEstablished: boolean, now: Millis): Link {
  const calm = { rollCall: undefined, patienceEndsAt: Infinity, solicitAt: Infinity };
  if (isEstablished) return { ...link, ...calm, isEstablished, served: link.router?.address };
  return begin({ ...link, isEstablished, patienceEndsAt: now + patienceMs }, now);
}

function timer(before: Link, now: Millis, chance: number): [Link, LinkEffect[]] {
  let link = before;
  const effects: LinkEffect[] = [];
  if (!link.isUp) return [link, effects];
  if (link.rollCall !== undefined && now >= link.rollCall.endsAt) {
    link = judge(link, link.rollCall, now);
    if (link.router !== undefined && link.router.address !== before.router?.address)
      effects.push({ type: "chosen", before: before.router?.address, router: link.router.address });
  }
  if (now >= link.patienceEndsAt)
    link = { ...(link.others.length > 0 ? callRoll(link, now, true) : link), patienceEndsAt: now + patienceMs };
  if (now >= link.solicitAt) {
    effects.push({ type: "solicit" });
    link =
      link.rollCall === undefined
        ? { ...link, solicitAt: now + link.solicitWaitMs, solicitWaitMs: Math.min(2 * link.solicitWaitMs, solicitMs.most) }
        : { ...link, solicitAt: now + solicitInRollCallMs };
  }
  if (now >= link.advertiseAt) {
    effects.push({ type: "advertise" });
    const advertisements = link.advertisements + 1;
    const { initial, least, most } = advertiseMs;
    const wait = advertisements < initialAdvertisements ? initial : least + chance * (most - least);
    link = { ...link, advertisements, advertisedAt: now, advertiseAt: now + wait };
  }
  return [link, effects];
}

/** Chooses the router again, among those that answered. */
function judge(link: Link, { beganAt, isRotating }: RollCall, now: Millis): Link {
  const { router, others } = link;
  const over = { ...link, rollCall: undefined, solicitAt: router === undefined ? link.solicitAt : Infinity };
  const answered = others.filter(({ heardAt }) => heardAt >= beganAt);
  const isKnown = ({ address }: Candidate) => address === link.served; // Each second turn is its own.
  const next = answered.find(isKnown) ?? answered.toSorted((a, b) => a.triedAt - b.triedAt)[0];
  if (router === undefined || next === undefined || link.isEstablished || (router.heardAt >= beganAt && !isRotating)) return over;
  const rest = others.filter((one) => one !== next);
  return { ...over, router: next, others: [{ ...router, triedAt: now }, ...rest], patienceEndsAt: now + patienceMs };
}

/** Other routers on the link that were heard lately. */
export function otherRouters({ others }: Link, now: Millis): bigint[] {
  return others.filter(({ heardAt }) => now - heardAt < forgetAfterMs).map(({ address }) => address);
}
