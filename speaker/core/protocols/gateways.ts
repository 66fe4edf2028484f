import type { Millis } from "#pkg/clock";
import type { Peer } from "#pkg/config";
import { families } from "#pkg/net";
import type { DefaultGateway, Surroundings } from "#pkg/placement";

type Gateways = Surroundings["gateways"];

/**
 * A DHCP client or a network manager that starts again takes the default route away and sets it again. That says nothing about the router, for which the
 * session and BFD speak. A DHCP message that is lost is sent again after 4 s, and 8 s after that (RFC 2131, section 4.1): one may be lost here.
 */
const keptMs: Millis = 10_000;

/** @returns the gateways that there are, and those that are gone for a short time: they count where no other one does */
export function withGone(before: Gateways, there: Gateways, now: Millis): Gateways {
  const isSame = (one: DefaultGateway, other: DefaultGateway) =>
    one.interface === other.interface && one.address.equals(other.address);
  const [IPv4, IPv6] = families.map((family) => {
    const gone = before[family].filter((one) => !there[family].some((other) => isSame(one, other)));
    return [...there[family], ...gone.map((one) => ({ ...one, keptUntil: one.keptUntil ?? now + keptMs }))];
  });
  return withoutLost({ IPv4: IPv4 ?? [], IPv6: IPv6 ?? [] }, now);
}

/** Without those that are gone for longer. */
export function withoutLost({ IPv4, IPv6 }: Gateways, now: Millis): Gateways {
  const isLeft = ({ keptUntil = Infinity }: DefaultGateway) => now < keptUntil;
  return { IPv4: IPv4.filter(isLeft), IPv6: IPv6.filter(isLeft) };
}

export function nextGatewayAt({ IPv4, IPv6 }: Gateways): Millis {
  return Math.min(...[...IPv4, ...IPv6].map(({ keptUntil = Infinity }) => keptUntil));
}

/** Whether the router may be a gateway of the node: a label or an annotation of the node may say so, too. */
export function mayBeGateway({ discovery, fromNode, disabled }: Peer): boolean {
  return !disabled && (discovery?.by === "gateway" || fromNode?.values.has("peer-address") === true);
}
