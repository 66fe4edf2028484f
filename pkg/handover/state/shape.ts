import type { Millis } from "#pkg/clock";
import type { FilterChange, FilterElement, FilterExpression } from "#pkg/linux";
import { type Address, type Family, type Mac, macBytes, parseMac } from "#pkg/net";

/** Packets to an address, of TCP connections that this node does not know, go to another node. */
export interface Handover {
  readonly address: Address;
  /** The other node, by an address of its own in a subnet of the interface; the kernel asks for its MAC address. */
  readonly to: Address;
  readonly interfaceIndex: number;
  /**
   * MAC addresses of the node that hands such packets to this one, where this node no longer owns the address: of these alone. Undefined
   * while it owns the address: of all but speakers. So no packet comes twice to a node, whatever the nodes believe of one another.
   */
  readonly from: readonly string[] | undefined;
  /** Packets of everybody but speakers go there, too: clients may not have heard of the present owner yet. */
  readonly lingers: boolean;
  /** Where packets go that the other node itself hands to this one, by its MAC addresses: they would be back where they came from. */
  readonly beyond?: { readonly from: readonly string[]; readonly to: Address } | undefined;
  /** When the kernel removes it. */
  readonly until: Millis;
}

/** Names in the table, and its mark. A table with the mark of another version is replaced; a table without a mark, and without our rules, is not ours. */
export const tableName = "ingot";
const markOfAll = "Ingot ";
export const tableMark = "Ingot 2: hands packets of moved connections to former owners";
export const chainName = "handover";
export const setNames = ["speakers", "links", "owned", "passed"] as const;
export type SetName = (typeof setNames)[number];
export const ruleMarks = ["owned addresses", "addresses passed on", "ends to owned", "ends passed on"] as const;

export function isOurs(mark: string | undefined): boolean {
  return mark?.startsWith(markOfAll) === true;
}

// Before destination NAT (-100), and after the kernel has looked for the connection (-200).
const priority = -150;
const tcp = 6;
const ethernet = 1; // ARPHRD_ETHER
const synOrReset = 0x06;
const finOrReset = 0x05;
// NFT_CT_STATE's bits of a connection that no packet was accepted of, and of a packet that cannot begin one.
const stateNew = 8;
const stateInvalid = 1;
// Of 16 octets each; the second word of 4 octets begins at 16 for the third.
const register = { address: 1, interfaceIndex: 2, key: 3, thirdWordOfKey: 18 } as const;
export const macLength = 8; // In a key a MAC address is padded.
// nft's numbers of types, for people who list the table; a pair has both, six bits each.
const Type = { ipv4: 7, ipv6: 8, mac: 9, interfaceIndex: 20 } as const;
const pair = (first: number, second: number): number => (first << 6) | second;

/** Everything but the elements. `nft` can show all of it, and load what it showed. */
export function shapeOf(family: Family): FilterChange[] {
  const [type, length, offset] = family === "IPv4" ? [Type.ipv4, 4, 16] : [Type.ipv6, 16, 24];
  const loadMac: FilterExpression = { type: "payload", base: "link", offset: 6, length: 6, to: register.key };
  const loadAddress = (to: number): FilterExpression => ({ type: "payload", base: "network", offset, length, to });
  const pairKey = [loadMac, loadAddress(register.thirdWordOfKey)];
  const ofOthers: FilterExpression[] = [loadMac, { type: "lookup", set: "speakers", key: register.key, not: true }];
  const handOver = (set: SetName, loadKey: readonly FilterExpression[]): FilterExpression[] => [
    ...loadKey,
    { type: "lookup", set, key: register.key },
    { type: "counter" },
    ...loadKey,
    { type: "lookup", set, key: register.key, to: register.address },
    loadAddress(register.interfaceIndex),
    { type: "lookup", set: "links", key: register.interfaceIndex, to: register.interfaceIndex },
    { type: "duplicate", address: register.address, interfaceIndex: register.interfaceIndex },
    { type: "drop" },
  ];
  const ways = [[...ofOthers, ...handOver("owned", [loadAddress(register.key)])], handOver("passed", pairKey)];
  const rules = [unknownConnections, unknownEnds].flatMap((packets) => ways.map((way) => [...packets, ...way]));
  const value = { valueType: type, valueLength: length, hasTimeouts: true } as const;
  return [
    { type: "addTable", mark: tableMark },
    { type: "addChain", chain: chainName, hook: "prerouting", priority },
    { type: "addSet", set: "speakers", keyType: Type.mac, keyLength: 6, hasTimeouts: false },
    {
      type: "addSet",
      set: "links",
      keyType: type,
      keyLength: length,
      valueType: Type.interfaceIndex,
      valueLength: 4,
      isValueNumber: true,
      hasTimeouts: true,
    },
    { type: "addSet", set: "owned", keyType: type, keyLength: length, ...value },
    { type: "addSet", set: "passed", keyType: pair(Type.mac, type), keyLength: macLength + length, ...value },
    ...rules.map(
      (expressions, index) =>
        ({
          type: "addRule",
          chain: chainName,
          mark: ruleMarks[index] ?? "",
          expressions,
        }) as const,
    ),
  ];
}

const unknownConnections = unknown([
  { type: "mask", register: register.key, mask: Uint8Array.of(synOrReset) },
  { type: "compare", register: register.key, value: Uint8Array.of(0) },
  ...inState(stateNew),
]);
// With FIN or RST no connection begins, so that these packets are invalid where it is unknown. Without them the Pod would wait for its client,
// and the connection count as open.
const unknownEnds = unknown([
  { type: "mask", register: register.key, mask: Uint8Array.of(finOrReset) },
  { type: "compare", register: register.key, not: true, value: Uint8Array.of(0) },
  ...inState(stateInvalid),
]);

/** @param ofFlags look at the flags of TCP, and change the register of the key */
function unknown(ofFlags: readonly FilterExpression[]): readonly FilterExpression[] {
  return [
    { type: "meta", key: "layer4Protocol", to: register.key },
    { type: "compare", register: register.key, value: Uint8Array.of(tcp) },
    { type: "payload", base: "transport", offset: 13, length: 1, to: register.key },
    ...ofFlags,
    { type: "meta", key: "interfaceType", to: register.key },
    { type: "compare", register: register.key, value: Uint8Array.of(ethernet, 0) },
  ];
}

function inState(state: number): readonly FilterExpression[] {
  return [
    { type: "connectionState", to: register.key },
    { type: "mask", register: register.key, mask: hostOrder(state) },
    { type: "compare", register: register.key, not: true, value: hostOrder(0) },
  ];
}

/** The elements of a handover, and their sets. */
export function elementsOf({
  address,
  to,
  interfaceIndex,
  from,
  lingers,
  beyond,
}: Handover): { readonly set: SetName; readonly element: FilterElement }[] {
  const key = address.toBytes();
  const value = to.toBytes();
  const device = { set: "links", element: { key, value: hostOrder(interfaceIndex) } } as const;
  const passed = (texts: readonly string[], to: Address) =>
    texts
      .flatMap((text) => parseMac(text) ?? [])
      .map((mac) => ({ set: "passed", element: { key: pairKeyOf(mac, key), value: to.toBytes() } }) as const);
  return [
    device,
    ...(from === undefined || lingers ? [{ set: "owned", element: { key, value } } as const] : []),
    ...passed(from ?? [], to),
    ...(beyond === undefined ? [] : passed(beyond.from, beyond.to)),
  ];
}

function pairKeyOf(mac: Mac, address: Uint8Array): Uint8Array {
  return Uint8Array.of(...macBytes(mac), 0, 0, ...address);
}

export function speakerElement(text: string): FilterElement | undefined {
  const mac = parseMac(text);
  return mac === undefined ? undefined : { key: macBytes(mac) };
}

/** A number of 32 bits in the machine's order. */
function hostOrder(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
