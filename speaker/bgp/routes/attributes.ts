import type { LargeCommunity, RouteAttributes } from "#pkg/bgp";
import type { BgpAdvertisement } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import type { Advertised } from "#pkg/placement";

/** A link bandwidth for each endpoint, in octets a second: 1 Gbit/s. Routers look at the proportions. */
const bandwidthOfEndpoint = 125_000_000;

type Given = Pick<Advertised, "advertisement" | "lastResort">;

/**
 * The attributes that an advertisement gives to prefixes of a family. Equal attributes are one object for as long as anybody uses them, because routes
 * with the same object travel together, and one whose object stays is not advertised again.
 */
export class Attributes {
  readonly #texts = new WeakMap<BgpAdvertisement, Map<string, string>>(); // advertisement -> family, weight, slot and mark -> attributes as text
  readonly #inUse = new Map<string, { readonly attributes: RouteAttributes; users: number }>(); // attributes as text -> attributes
  readonly #keys = new WeakMap<RouteAttributes, string>(); // attributes -> attributes as text

  /**
   * @param weight how many endpoints the routes stand for; without effect where the advertisement has no weight
   * @param slot the next hop, in place of the advertisement's
   */
  acquire({ advertisement, lastResort }: Given, family: Family, weight: number, slot?: Address): RouteAttributes {
    const counted = advertisement.weightByEndpoints ? weight : 0;
    const texts = this.#texts.get(advertisement) ?? new Map<string, string>();
    this.#texts.set(advertisement, texts);
    const isLastResort = lastResort?.includes(family) === true;
    const variant = `${family} ${counted} ${slot} ${isLastResort}`;
    const known = this.#inUse.get(texts.get(variant) ?? "");
    if (known !== undefined) return use(known);
    const plain = attributesOf(advertisement, family, counted);
    const to = slot === undefined ? plain : { ...plain, nextHop: slot };
    const attributes = isLastResort ? { ...to, isLastResort } : to;
    const text = JSON.stringify(attributes);
    texts.set(variant, text);
    const equal = this.#inUse.get(text);
    if (equal !== undefined) return use(equal);
    this.#inUse.set(text, { attributes, users: 1 });
    this.#keys.set(attributes, text);
    return attributes;
  }

  /** To be called once for each `acquire`. */
  release(attributes: RouteAttributes): void {
    const text = this.#keys.get(attributes) ?? "";
    const known = this.#inUse.get(text);
    if (known !== undefined && --known.users === 0) this.#inUse.delete(text);
  }

  /** How many different ones are in use. */
  get size(): number {
    return this.#inUse.size;
  }
}

function use(known: { readonly attributes: RouteAttributes; users: number }): RouteAttributes {
  known.users++;
  return known.attributes;
}

function attributesOf(advertisement: BgpAdvertisement, family: Family, weight: number): RouteAttributes {
  const { localPref, med, asPathPrepend, communities, nextHop, nextHopV6 } = advertisement;
  const standard = communities.flatMap((community) => (community.type === "standard" ? [community.value] : []));
  const large = communities.flatMap((community): LargeCommunity[] => (community.type === "large" ? [largeOf(community)] : []));
  return {
    localPref,
    med,
    asPathPrepend,
    communities: standard.sort((a, b) => a - b),
    largeCommunities: large.sort(byNumbers),
    linkBandwidth: weight === 0 ? undefined : weight * bandwidthOfEndpoint,
    nextHop: family === "IPv4" ? nextHop : nextHopV6,
  };
}

function largeOf({ globalAdministrator, localData1, localData2 }: LargeCommunity): LargeCommunity {
  return { globalAdministrator, localData1, localData2 };
}

function byNumbers(a: LargeCommunity, b: LargeCommunity): number {
  return a.globalAdministrator - b.globalAdministrator || a.localData1 - b.localData1 || a.localData2 - b.localData2;
}
