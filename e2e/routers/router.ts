import type { Exit } from "#e2e/lab";
import type { RouterConfiguration } from "./configuration.ts";
import type { KernelRoute } from "./kernel-routes.ts";

export type RouterKind = "frr" | "bird" | "gobgp" | "openbgpd";

/** One path to a prefix, as a router has received it. */
export interface Route {
  readonly prefix: string;
  /** The neighbor it came from. */
  readonly from: string;
  /** One; of IPv6 on a shared link maybe the link-local one too. */
  readonly nextHops: readonly string[];
  readonly asPath: readonly number[];
  readonly origin: "igp" | "egp" | "incomplete";
  readonly med: number | undefined;
  readonly localPref: number | undefined;
  /** `65000:1`, well-known ones as numbers too. */
  readonly communities: readonly string[];
  /** `65000:1:2` */
  readonly largeCommunities: readonly string[];
  /** Octets a second of the link-bandwidth extended community. */
  readonly linkBandwidth: number | undefined;
  /** The one that is used; with multipath, the first of those. */
  readonly best: boolean;
  /** Kept while its neighbor restarts (RFC 4724). */
  readonly stale: boolean;
}

export type SessionState = "idle" | "connect" | "active" | "openSent" | "openConfirm" | "established";

export interface NeighborStatus {
  /** Its address in the configuration. */
  readonly address: string;
  readonly state: SessionState;
  /** How long it has been in this state, in whole seconds; undefined where the router does not report it. */
  readonly seconds: number | undefined;
  /** In the router's words; undefined where it has none or does not report it. */
  readonly lastError: string | undefined;
  /** How many prefixes it has received and kept. */
  readonly prefixes: number;
}

/** A BGP daemon on a host of a lab. */
export interface Router extends AsyncDisposable {
  readonly kind: RouterKind;
  /** All routes received, of both families. */
  routes(): Promise<readonly Route[]>;
  neighbors(): Promise<readonly NeighborStatus[]>;
  /** The host kernel's route for this prefix, undefined without an entry for exactly it. */
  kernelRoute(prefix: string): Promise<KernelRoute | undefined>;
  /** Ends the session for good, with a text for the neighbor (RFC 9003), or lets it be again. */
  shut(address: string, text?: string): Promise<void>;
  unshut(address: string): Promise<void>;
  /** Ends the session; it comes back by itself. */
  clear(address: string): Promise<void>;
  /** Asks the neighbor to send all routes again (RFC 2918). */
  refresh(address: string): Promise<void>;
  /** Goes over to another configuration of the same AS and router id; unchanged neighbors stay up. */
  reload(configuration: RouterConfiguration): Promise<void>;
  /** Stops the process where it is: the kernel still acknowledges, nobody reads. */
  freeze(): void;
  thaw(): void;
  /** Ends it, by SIGKILL without a message to anyone. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<Exit>;
  /** Starts it again after `stop`. Resolves when it answers commands. */
  start(): Promise<void>;
}

const states: readonly SessionState[] = ["idle", "connect", "active", "openSent", "openConfirm", "established"];

/** The state that a router prints, in any case. States that only this router knows (`Down`, `Close`) are idle to others. */
export function sessionState(text: string): SessionState {
  const lower = text.toLowerCase();
  if (lower === "passive") return "active"; // BIRD's word for waiting only.
  return states.find((state) => state.toLowerCase() === lower) ?? "idle";
}

// IANA's registry of well-known communities, by the letters of the names that routers print.
const wellKnown: Readonly<Record<string, string>> = {
  gracefulshutdown: "65535:0",
  blackhole: "65535:666",
  noexport: "65535:65281",
  noadvertise: "65535:65282",
  noexportsubconfed: "65535:65283",
  localas: "65535:65283",
  nopeer: "65535:65284",
};

/** The two numbers of a community that a router may print by name. */
export function communityText(text: string): string {
  return wellKnown[text.toLowerCase().replaceAll(/[^a-z]/g, "")] ?? text;
}

/** The number of a link-bandwidth extended community: a float in its last four octets. */
export function float32(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits);
  return view.getFloat32(0);
}

/** Whether the type is a link bandwidth, transitive or not (draft-ietf-idr-link-bandwidth). */
export function isLinkBandwidth(type: number): boolean {
  return (type & 0xbfff) === 0x0004;
}

export function originOf(text: string): Route["origin"] {
  const lower = text.toLowerCase();
  if (lower === "igp" || lower === "egp" || lower === "incomplete") return lower;
  throw new Error(`Cannot read an origin: ${text}`);
}
