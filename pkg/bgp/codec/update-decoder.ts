import { Reader } from "#pkg/octets";
import { attributeRules, type MultiprotocolRoutes, type UpdateSession } from "./attribute-rules.ts";
import { type AddressFamily, type Update, unicast } from "./messages.ts";
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
import { countPrefixes } from "./prefixes.ts";

/** The field of path attributes, read. */
interface Attributes {
  readonly routes: Readonly<MultiprotocolRoutes>;
  readonly types: ReadonlySet<number>;
  /** The first error for which the routes are treated as withdrawn. */
  readonly withdrawError: NotificationError | undefined;
  readonly forgiven: readonly string[];
}

/**
 * Decodes the body of an UPDATE (RFC 4271, section 4.3; RFC 4760), and handles its errors as RFC 7606 demands: an attribute is discarded,
 * or all routes of the message are treated as withdrawn, and `forgiven` describes it; or the session ends. Attributes that this package does
 * not know are passed over, as are routes of families that the session does not carry. Nothing is kept of routes but how many there are.
 * @throws {NotificationError} of RFC 4271, section 6.3, for what RFC 7606 does not forgive
 */
export function decodeUpdate(body: Uint8Array, session: UpdateSession): Update {
  const reader = new Reader(body, (found) => updateError(UpdateMessageError.malformedAttributeList, found));
  const withdrawn = reader.take(reader.u16());
  const field = reader.take(reader.u16());
  const nlri = reader.rest();
  const count = (those: Uint8Array) =>
    countPrefixes("IPv4", those, (found) => updateError(UpdateMessageError.invalidNetworkField, found));
  count(withdrawn);
  const ipv4 = count(nlri);
  const { routes, types, withdrawError, forgiven } = readAttributes(field, nlri.length > 0, session);
  const reachable = nlri.length > 0 || routes.announced?.empty === false;
  if (withdrawError !== undefined && !reachable && hasOtherThanMpUnreach(types)) throw withdrawError;
  const announced = (session.families.has("IPv4") ? ipv4 : 0) + (routes.announced?.prefixes ?? 0);
  return {
    type: "update",
    announced: withdrawError === undefined ? announced : 0,
    endOfRib: withdrawn.length + nlri.length === 0 ? endOfRib(field, routes.withdrawn, types) : undefined,
    forgiven,
  };
}

function readAttributes(field: Uint8Array, hasNlri: boolean, session: UpdateSession): Attributes {
  const { attributes, cut } = splitAttributes(field);
  const routes: MultiprotocolRoutes = {};
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
    readAttribute(attribute, session, routes, errors, forgiven);
  }
  if (cut !== undefined) {
    if (cut.type !== undefined && isMultiprotocol(cut.type)) throw cut.error; // The routes in it are unknown (RFC 7606, section 3 (j)).
    errors.push(cut.error);
    if (cut.type !== undefined) types.add(cut.type);
  }
  if (hasNlri || routes.announced?.empty === false) errors.push(...missingAttributes(types, hasNlri));
  const [withdrawError] = errors;
  for (const type of repeated) forgiven.push(`${attributeName(type)} is there more than once; all but the first are discarded`);
  for (const error of errors) forgiven.push(`${error.message}; its routes are treated as withdrawn`);
  return { routes, types, withdrawError, forgiven };
}

function readAttribute(
  attribute: RawAttribute,
  session: UpdateSession,
  routes: MultiprotocolRoutes,
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
    rule.check(attribute, session, routes);
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

/** RFC 4724, section 2: nothing at all, or an MP_UNREACH_NLRI that withdraws nothing, and nothing else. */
function endOfRib(
  field: Uint8Array,
  withdrawn: MultiprotocolRoutes["withdrawn"],
  types: ReadonlySet<number>,
): AddressFamily | undefined {
  if (field.length === 0) return unicast.IPv4;
  return types.size === 1 && withdrawn?.empty ? withdrawn.family : undefined;
}
