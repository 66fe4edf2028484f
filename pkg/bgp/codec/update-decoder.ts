import type { Address } from "#pkg/net";
import { Reader } from "#pkg/octets";
import { asTrans, mergeAs4Path } from "./as-path.ts";
import {
  attributeRules,
  type FoundAttributes,
  type MultiprotocolRoutes,
  readNlri,
  type UpdateSession,
} from "./attribute-rules.ts";
import { type AddressFamily, type PathAttributes, type Update, unicast } from "./messages.ts";
import { NotificationError, UpdateMessageError } from "./notification-error.ts";
import {
  AttributeFlag,
  AttributeType,
  attributeFlags,
  attributeName,
  type RawAttribute,
  splitAttributes,
  updateError,
} from "./path-attributes.ts";

/** The field of path attributes, read. */
interface Attributes {
  readonly found: Readonly<FoundAttributes>;
  readonly types: ReadonlySet<number>;
  /** The first error for which the routes are treated as withdrawn. */
  readonly withdrawError: NotificationError | undefined;
  readonly forgiven: readonly string[];
}

/**
 * Decodes the body of an UPDATE (RFC 4271, section 4.3; RFC 4760), and handles its errors as RFC 7606 demands: an attribute is discarded,
 * or all routes of the message are treated as withdrawn, and `forgiven` describes it; or the session ends. Attributes that this package does
 * not know are passed over, as are routes of families that the session does not carry.
 * @throws {NotificationError} of RFC 4271, section 6.3, for what RFC 7606 does not forgive
 */
export function decodeUpdate(body: Uint8Array, session: UpdateSession): Update {
  const reader = new Reader(body, (found) => updateError(UpdateMessageError.malformedAttributeList, found));
  const withdrawnField = reader.take(reader.u16());
  const field = reader.take(reader.u16());
  const nlri = reader.rest();
  const withdrawn = ipv4Routes(withdrawnField, session);
  const announced = ipv4Routes(nlri, session);
  const { found, types, withdrawError, forgiven } = readAttributes(field, nlri.length > 0, session);
  const reachable = nlri.length > 0 || found.announced?.empty === false;
  if (withdrawError !== undefined && !reachable && hasOtherThanMpUnreach(types)) throw withdrawError;

  const ignored: AddressFamily[] = [];
  const carriesIpv4 = session.families.has("IPv4");
  if (!carriesIpv4 && withdrawnField.length + nlri.length > 0) ignored.push(unicast.IPv4);
  for (const routes of [found.withdrawn, found.announced])
    if (routes !== undefined && routes.prefixes === undefined) ignored.push(routes.family);
  const goes = together(carriesIpv4 ? withdrawn : undefined, found.withdrawn);
  const comes = together(carriesIpv4 ? announced : undefined, found.announced);
  const isWithdrawn = withdrawError !== undefined;
  return {
    type: "update",
    withdrawn: isWithdrawn ? [...goes.prefixes, ...comes.prefixes] : goes.prefixes,
    withdrawnPaths: isWithdrawn ? [...goes.paths, ...comes.paths] : goes.paths,
    announced: isWithdrawn ? [] : comes.prefixes,
    announcedPaths: isWithdrawn ? [] : comes.paths,
    attributes: !isWithdrawn && comes.prefixes.length > 0 ? pathAttributes(found) : undefined,
    endOfRib: withdrawnField.length + nlri.length === 0 ? endOfRib(field, found.withdrawn, types) : undefined,
    ignored,
    forgiven,
  };
}

type Routes = Pick<MultiprotocolRoutes, "prefixes" | "paths">;

function ipv4Routes(field: Uint8Array, session: UpdateSession): Routes {
  return readNlri("IPv4", field, session, (found) => updateError(UpdateMessageError.invalidNetworkField, found));
}

function together(...all: readonly (Routes | undefined)[]) {
  return { prefixes: all.flatMap((one) => one?.prefixes ?? []), paths: all.flatMap((one) => one?.paths ?? []) };
}

function readAttributes(field: Uint8Array, hasNlri: boolean, session: UpdateSession): Attributes {
  const { attributes, cut } = splitAttributes(field);
  const found: FoundAttributes = {};
  const types = new Set<number>();
  const errors: NotificationError[] = [];
  const forgiven: string[] = [];
  const repeated = new Set<number>();
  for (const attribute of attributes) {
    const { type } = attribute;
    if (types.has(type)) {
      if (isMultiprotocol(type))
        throw updateError(UpdateMessageError.malformedAttributeList, `${attributeName(type)} is there twice`);
      repeated.add(type);
      continue;
    }
    types.add(type);
    readAttribute(attribute, session, found, errors, forgiven);
  }
  if (cut !== undefined) {
    if (cut.type !== undefined && isMultiprotocol(cut.type)) throw cut.error; // The routes in it are unknown (RFC 7606, section 3 (j)).
    errors.push(cut.error);
    if (cut.type !== undefined) types.add(cut.type);
  }
  if (hasNlri || found.announced?.empty === false) errors.push(...missingAttributes(types, hasNlri));
  const [withdrawError] = errors;
  for (const type of repeated) forgiven.push(`${attributeName(type)} is there more than once; all but the first are discarded`);
  for (const error of errors) forgiven.push(`${error.message}; its routes are treated as withdrawn`);
  return { found, types, withdrawError, forgiven };
}

function readAttribute(
  attribute: RawAttribute,
  session: UpdateSession,
  found: FoundAttributes,
  errors: NotificationError[],
  forgiven: string[],
): void {
  const { type, flags } = attribute;
  const rule = attributeRules[type];
  if (rule === undefined) {
    if ((flags & AttributeFlag.optional) !== 0) return;
    throw attribute.error(UpdateMessageError.unrecognizedWellKnownAttribute, "no meaning here, and is said to be well-known");
  }
  const misplaced = rule.misplaced?.(session);
  if (misplaced !== undefined) {
    forgiven.push(`${attributeName(type)} from ${misplaced} is discarded`);
    return;
  }
  if ((flags & attributeFlags.optionalTransitive) !== rule.flags)
    errors.push(attribute.error(UpdateMessageError.attributeFlagsError, `the flags 0x${flags.toString(16)}`));
  try {
    rule.read(attribute, found, session);
  } catch (error) {
    if (!(error instanceof NotificationError) || rule.malformed === "sessionReset") throw error;
    if (rule.malformed === "treatAsWithdraw") errors.push(error);
    else forgiven.push(`${error.message}; it is discarded`);
  }
}

/** RFC 7606, section 3 (d); NEXT_HOP belongs to the NLRI field alone (RFC 4760, section 3). */
function missingAttributes(types: ReadonlySet<number>, hasNlri: boolean): NotificationError[] {
  const mandatory = [AttributeType.origin, AttributeType.asPath, ...(hasNlri ? [AttributeType.nextHop] : [])];
  return mandatory
    .filter((type) => !types.has(type))
    .map((type) =>
      updateError(UpdateMessageError.missingWellKnownAttribute, `${attributeName(type)} is missing`, Uint8Array.of(type)),
    );
}

function isMultiprotocol(type: number): boolean {
  return type === AttributeType.mpReachNlri || type === AttributeType.mpUnreachNlri;
}

/** RFC 7606, section 5.2: without routes to be seen, it is not certain that they were found. */
function hasOtherThanMpUnreach(types: ReadonlySet<number>): boolean {
  return types.size > (types.has(AttributeType.mpUnreachNlri) ? 1 : 0);
}

function pathAttributes(found: Readonly<FoundAttributes>): PathAttributes {
  const { origin = "incomplete", asPath = [], as4Path, aggregatorAsn, nextHop, announced } = found;
  // Somebody who knows two octets alone has aggregated since, so AS4_PATH is of another path (RFC 6793, section 4.2.3).
  const outdated = found.as4Aggregator === true && aggregatorAsn !== undefined && aggregatorAsn !== asTrans;
  const nextHops: Address[] = [...(nextHop === undefined ? [] : [nextHop]), ...(announced?.nextHops ?? [])];
  return {
    origin,
    asPath: as4Path === undefined || outdated ? asPath : mergeAs4Path(asPath, as4Path),
    nextHops,
    med: found.med,
    localPref: found.localPref,
    communities: found.communities,
    extendedCommunities: found.extendedCommunities,
    largeCommunities: found.largeCommunities,
    onlyToCustomer: found.onlyToCustomer,
  };
}

/** RFC 4724, section 2: nothing at all, or an MP_UNREACH_NLRI that withdraws nothing, and nothing else. */
function endOfRib(
  field: Uint8Array,
  withdrawn: MultiprotocolRoutes | undefined,
  types: ReadonlySet<number>,
): AddressFamily | undefined {
  if (field.length === 0) return unicast.IPv4;
  return types.size === 1 && withdrawn?.empty ? withdrawn.family : undefined;
}
