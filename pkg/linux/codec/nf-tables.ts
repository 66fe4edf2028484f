import type { Family } from "#pkg/net";
import {
  encodeFilterMessage,
  filterAttributes,
  filterFamily,
  long,
  longAttribute,
  nest,
  numberAttribute,
  Subsystem,
  textAttribute,
} from "./netfilter-wire.ts";
import {
  attributeHeaderLength,
  decodeAttributes,
  encodeAttribute,
  flagDumpInterrupted,
  flagRequest,
  flagsDump,
  messagesOf,
  NetlinkError,
  recordsOf,
  resultOf,
  text,
} from "./netlink-wire.ts";

/** One step of a rule (linux/netfilter/nf_tables.h). Registers are numbered as the kernel does: 1 to 4 of 16 octets, 8 to 23 of 4. */
export type FilterExpression =
  | { readonly type: "meta"; readonly key: "layer4Protocol" | "interfaceType"; readonly to: number }
  | {
      readonly type: "payload";
      readonly base: "link" | "network" | "transport";
      readonly offset: number;
      readonly length: number;
      readonly to: number;
    }
  | { readonly type: "connectionState"; readonly to: number }
  | { readonly type: "mask"; readonly register: number; readonly mask: Uint8Array }
  /** Goes on where the register has this value; with `not`, where it has another one. */
  | { readonly type: "compare"; readonly register: number; readonly not?: boolean; readonly value: Uint8Array }
  /** Goes on where the set has the key, and loads the value of a map; with `not`, where it does not have the key. */
  | { readonly type: "lookup"; readonly set: string; readonly key: number; readonly to?: number; readonly not?: boolean }
  | { readonly type: "counter" }
  /** Sends a copy of the packet to a neighbor, whose address and interface index are in these registers. */
  | { readonly type: "duplicate"; readonly address: number; readonly interfaceIndex: number }
  | { readonly type: "drop" };

export interface FilterElement {
  readonly key: Uint8Array;
  /** In a map. */
  readonly value?: Uint8Array;
  /** After which the kernel removes it, in milliseconds; in a set with time-outs. */
  readonly timeoutMs?: number;
}

/** A change of one table. */
export type FilterChange =
  | { readonly type: "addTable"; readonly mark: string }
  /** With everything in it. */
  | { readonly type: "deleteTable" }
  /** A chain of type `filter` at a hook. */
  | { readonly type: "addChain"; readonly chain: string; readonly hook: "prerouting"; readonly priority: number }
  /** `keyType` and `valueType` are nft's, for people who list it; with `valueType` it is a map. */
  | {
      readonly type: "addSet";
      readonly set: string;
      readonly keyType: number;
      readonly keyLength: number;
      readonly valueType?: number;
      readonly valueLength?: number;
      /** Values are numbers in the machine's order, which `nft` has to know. */
      readonly isValueNumber?: boolean;
      readonly hasTimeouts: boolean;
    }
  | { readonly type: "addRule"; readonly chain: string; readonly mark: string; readonly expressions: readonly FilterExpression[] }
  | { readonly type: "addElements" | "deleteElements"; readonly set: string; readonly elements: readonly FilterElement[] };

export interface FilterTable {
  readonly family: Family;
  readonly table: string;
}

export type FilterQuery =
  | { readonly type: "table" }
  | { readonly type: "rules"; readonly chain: string }
  | { readonly type: "elements"; readonly set: string };

/** One message of the kernel. `sequence` is that of the request that it answers. */
export type FilterMessage = { readonly sequence: number; readonly interrupted: boolean } & (
  | { readonly type: "table"; readonly mark: string | undefined }
  | { readonly type: "rule"; readonly mark: string | undefined; readonly packets: bigint }
  | { readonly type: "elements"; readonly elements: readonly Pick<FilterElement, "key" | "value">[] }
  /** Ends a dump, or is the result of a change; `errno` is positive, or 0 for an acknowledgement. */
  | { readonly type: "done" | "error"; readonly errno: number }
);

const Message = { newTable: 0, getTable: 1, deleteTable: 2, newChain: 3, newRule: 6, getRule: 7, newSet: 9 } as const;
const ElementMessage = { add: 12, get: 13, delete: 14 } as const;
const batchBegin = 0x10; // NFNL_MSG_BATCH_BEGIN
const batchEnd = 0x11;
const flagAcknowledge = 0x4;
const flagCreate = 0x400;
const flagAppend = 0x800;
const Table = { name: 1, userData: 6 } as const;
const Chain = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
const Hook = { number: 1, priority: 2 } as const;
const Rule = { table: 1, chain: 2, expressions: 4, userData: 7 } as const;
const SetOf = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  valueType: 6,
  valueLength: 7,
  id: 10,
  userData: 13,
} as const;
const SetFlag = { map: 0x8, timeout: 0x10 } as const;
const ElementList = { table: 1, set: 2, elements: 3 } as const;
const Element = { key: 1, value: 2, timeout: 4 } as const;
const Data = { value: 1, verdict: 2 } as const;
const listElement = 1; // NFTA_LIST_ELEM
const Expression = { name: 1, data: 2 } as const;
const Counter = { packets: 2 } as const;
const metaKeys = { interfaceType: 8, layer4Protocol: 16 } as const;
const bases = { link: 0, network: 1, transport: 2 } as const;
const hooks = { prerouting: 0 } as const;
const accept = 1;
const drop = 0;
const userDataComment = 0; // NFTNL_UDATA_TABLE_COMMENT and NFTNL_UDATA_RULE_COMMENT: `nft` shows it.

// User data of sets: NFTNL_UDATA_SET_KEYBYTEORDER, NFTNL_UDATA_SET_DATABYTEORDER
const userDataKeyOrder = 0;
const userDataValueOrder = 1;
const machineOrder = 1;
const networkOrder = 2;

/** All of the changes come into force together, or none. The sequence of the first is `sequence` plus one. */
export function encodeFilterBatch(table: FilterTable, changes: readonly FilterChange[], sequence: number): Uint8Array {
  const mark = (type: number, at: number) =>
    encodeFilterMessage({ type, flags: flagRequest, sequence: at, family: 0, resource: Subsystem.tables });
  return Buffer.concat([
    mark(batchBegin, sequence),
    ...changes.map((change, index) => encodeChange(table, change, sequence + 1 + index)),
    mark(batchEnd, sequence + 1 + changes.length),
  ]);
}

export function encodeFilterQuery({ family, table }: FilterTable, query: FilterQuery, sequence: number): Uint8Array {
  const message = (number: number, flags: number, ...parts: readonly Uint8Array[]) =>
    encodeFilterMessage({ type: typeOf(number), flags: flagRequest | flags, sequence, family: filterFamily[family] }, ...parts);
  switch (query.type) {
    case "table":
      return message(Message.getTable, flagAcknowledge, textAttribute(Table.name, table));
    case "rules":
      return message(Message.getRule, flagsDump, textAttribute(Rule.table, table), textAttribute(Rule.chain, query.chain));
    case "elements":
      return message(
        ElementMessage.get,
        flagsDump,
        textAttribute(ElementList.table, table),
        textAttribute(ElementList.set, query.set),
      );
    default:
      return query satisfies never;
  }
}

function encodeChange({ family, table }: FilterTable, change: FilterChange, sequence: number): Uint8Array {
  const message = (number: number, flags: number, ...parts: readonly Uint8Array[]) => {
    const head = { type: typeOf(number), flags: flagRequest | flagAcknowledge | flags, sequence, family: filterFamily[family] };
    return encodeFilterMessage(head, ...parts);
  };
  switch (change.type) {
    case "addTable":
      return message(Message.newTable, flagCreate, textAttribute(Table.name, table), comment(Table.userData, change.mark));
    case "deleteTable":
      return message(Message.deleteTable, 0, textAttribute(Table.name, table));
    case "addChain":
      return message(
        Message.newChain,
        flagCreate,
        textAttribute(Chain.table, table),
        textAttribute(Chain.name, change.chain),
        nest(Chain.hook, numberAttribute(Hook.number, hooks[change.hook]), numberAttribute(Hook.priority, change.priority)),
        numberAttribute(Chain.policy, accept),
        textAttribute(Chain.type, "filter"),
      );
    case "addSet":
      return message(Message.newSet, flagCreate, textAttribute(SetOf.table, table), ...setParts(change, sequence));
    case "addRule":
      return message(
        Message.newRule,
        flagCreate | flagAppend,
        textAttribute(Rule.table, table),
        textAttribute(Rule.chain, change.chain),
        nest(Rule.expressions, ...change.expressions.map(encodeExpression)),
        comment(Rule.userData, change.mark),
      );
    case "addElements":
    case "deleteElements":
      return message(
        change.type === "addElements" ? ElementMessage.add : ElementMessage.delete,
        change.type === "addElements" ? flagCreate : 0,
        textAttribute(ElementList.table, table),
        textAttribute(ElementList.set, change.set),
        nest(ElementList.elements, ...change.elements.map(encodeElement)),
      );
    default:
      return change satisfies never;
  }
}

function setParts(
  {
    set,
    keyType,
    keyLength,
    valueType,
    valueLength = 0,
    isValueNumber = false,
    hasTimeouts,
  }: Extract<FilterChange, { readonly type: "addSet" }>,
  id: number,
): Uint8Array[] {
  const flags = (valueType === undefined ? 0 : SetFlag.map) | (hasTimeouts ? SetFlag.timeout : 0);
  const value = [numberAttribute(SetOf.valueType, valueType ?? 0), numberAttribute(SetOf.valueLength, valueLength)];
  return [
    textAttribute(SetOf.name, set),
    numberAttribute(SetOf.flags, flags),
    numberAttribute(SetOf.keyType, keyType),
    numberAttribute(SetOf.keyLength, keyLength),
    ...(valueType === undefined ? [] : value),
    numberAttribute(SetOf.id, id),
    encodeAttribute(
      SetOf.userData,
      Uint8Array.of(
        ...[userDataKeyOrder, 4, networkOrder, 0, 0, 0],
        ...[userDataValueOrder, 4, isValueNumber ? machineOrder : networkOrder, 0, 0, 0],
      ),
    ),
  ];
}

function encodeElement({ key, value, timeoutMs }: FilterElement): Uint8Array {
  return nest(
    listElement,
    nest(Element.key, encodeAttribute(Data.value, key)),
    ...(value === undefined ? [] : [nest(Element.value, encodeAttribute(Data.value, value))]),
    ...(timeoutMs === undefined ? [] : [longAttribute(Element.timeout, BigInt(timeoutMs))]),
  );
}

function encodeExpression(expression: FilterExpression): Uint8Array {
  const of = (name: string, ...parts: readonly Uint8Array[]) =>
    nest(listElement, textAttribute(Expression.name, name), nest(Expression.data, ...parts));
  const all = (...numbers: readonly number[]) => numbers.map((value, index) => numberAttribute(index + 1, value));
  switch (expression.type) {
    case "meta":
      return of("meta", ...all(expression.to, metaKeys[expression.key]));
    case "payload":
      return of("payload", ...all(expression.to, bases[expression.base], expression.offset, expression.length));
    case "connectionState":
      return of("ct", ...all(expression.to, 0));
    case "mask": {
      const { register, mask } = expression;
      const data = [mask, new Uint8Array(mask.length)].map((one, index) => nest(4 + index, encodeAttribute(Data.value, one)));
      return of("bitwise", ...all(register, register, mask.length), ...data);
    }
    case "compare":
      return of(
        "cmp",
        ...all(expression.register, expression.not ? 1 : 0),
        nest(3, encodeAttribute(Data.value, expression.value)),
      );
    case "lookup": {
      const { set, key, to, not = false } = expression;
      const more = [...(to === undefined ? [] : [numberAttribute(3, to)]), ...(not ? [numberAttribute(5, 1)] : [])];
      return of("lookup", textAttribute(1, set), numberAttribute(2, key), ...more);
    }
    case "counter":
      return of("counter");
    case "duplicate":
      return of("dup", ...all(expression.address, expression.interfaceIndex));
    case "drop":
      return of("immediate", numberAttribute(1, 0), nest(2, nest(Data.verdict, numberAttribute(1, drop))));
    default:
      return expression satisfies never;
  }
}

/**
 * The kernel's messages of a datagram, in its order; others are left out.
 * @throws {NetlinkError} for a length that does not fit, and an element without a key
 */
export function decodeFilter(datagram: Uint8Array): FilterMessage[] {
  return [...messagesOf(datagram)].flatMap((message) => {
    const { type, flags, sequence, body } = message;
    const common = { sequence, interrupted: (flags & flagDumpInterrupted) !== 0 };
    const result = resultOf(message);
    if (result !== undefined) return { ...common, ...result };
    switch (type) {
      case typeOf(Message.newTable):
        return { ...common, type: "table", mark: commentOf(filterAttributes(body).get(Table.userData)) } as const;
      case typeOf(Message.newRule): {
        const rule = filterAttributes(body);
        return {
          ...common,
          type: "rule",
          mark: commentOf(rule.get(Rule.userData)),
          packets: packetsOf(rule.get(Rule.expressions)),
        } as const;
      }
      case typeOf(ElementMessage.add): {
        const elements = listOf(filterAttributes(body).get(ElementList.elements)).map(decodeElement);
        return { ...common, type: "elements", elements } as const;
      }
      default:
        return [];
    }
  });
}

function decodeElement(bytes: Uint8Array): Pick<FilterElement, "key" | "value"> {
  const element = decodeAttributes(bytes);
  const data = (type: number) => decodeAttributes(element.get(type) ?? new Uint8Array()).get(Data.value);
  const [key, value] = [data(Element.key), data(Element.value)];
  if (key === undefined) throw new NetlinkError("Cannot decode an element: it has no key");
  return { key: Uint8Array.from(key), ...(value && { value: Uint8Array.from(value) }) };
}

/** The packets of a rule's first counter. */
function packetsOf(expressions: Uint8Array | undefined): bigint {
  for (const bytes of listOf(expressions)) {
    const expression = decodeAttributes(bytes);
    if (text(expression.get(Expression.name)) !== "counter") continue;
    const packets = decodeAttributes(expression.get(Expression.data) ?? new Uint8Array()).get(Counter.packets);
    return packets === undefined ? 0n : long(packets, "counter");
  }
  return 0n;
}

/** The members of a list, all of which have one type. */
function listOf(bytes: Uint8Array = new Uint8Array()): Uint8Array[] {
  return Array.from(recordsOf(bytes, attributeHeaderLength, "list"), (record) => record.subarray(attributeHeaderLength));
}

/** User data of libnftnl: for each its type, its length and the octets. */
function comment(type: number, value: string): Uint8Array {
  const octets = new TextEncoder().encode(`${value}\0`);
  return encodeAttribute(type, Uint8Array.of(userDataComment, octets.length, ...octets));
}

function commentOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes?.[0] !== userDataComment) return undefined;
  const length = bytes[1] ?? 0;
  return length > bytes.length - 2 ? undefined : text(bytes.subarray(2, 2 + length));
}

function typeOf(message: number): number {
  return (Subsystem.tables << 8) | message;
}
