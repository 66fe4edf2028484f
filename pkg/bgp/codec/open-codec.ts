import { Address } from "#pkg/net";
import { Reader, Writer } from "#pkg/octets";
import { decodeCapabilities, writeCapability } from "./capability-codec.ts";
import { encodeFrame, headerLength, maxMessageLength } from "./frame.ts";
import { type Capability, MessageType, type Open } from "./messages.ts";
import { NotificationCode, OpenMessageError, unspecific } from "./notification-codes.ts";
import { NotificationError } from "./notification-error.ts";

/** The only version of BGP that this package speaks. */
export const bgpVersion = 4;

const capabilitiesParameter = 2;
/** As the type of the first parameter: lengths are of two octets (RFC 9072, section 2). */
const extendedParameters = 255;

/**
 * Encodes an OPEN (RFC 4271, section 4.2) with all capabilities in one parameter, as RFC 5492 recommends; in the form of RFC 9072 only when
 * they do not fit otherwise, because older peers refuse it.
 * @throws {RangeError} for a number that its field does not hold, and above 4,096 octets, which no OPEN may exceed (RFC 8654, section 4)
 */
export function encodeOpen(open: Open): Uint8Array {
  const collected = new Writer();
  for (const capability of open.capabilities) writeCapability(collected, capability);
  const capabilities = collected.finish();
  const body = new Writer().u8(open.version).u16(open.asn).u16(open.holdTimeSeconds).put(open.routerId.toBytes());
  if (capabilities.length === 0) body.u8(0);
  else if (capabilities.length + 2 <= 255)
    body
      .u8(capabilities.length + 2)
      .u8(capabilitiesParameter)
      .u8(capabilities.length);
  else {
    body
      .u8(255)
      .u8(extendedParameters)
      .u16(capabilities.length + 3);
    body.u8(capabilitiesParameter).u16(capabilities.length);
  }
  body.put(capabilities);
  if (headerLength + body.length > maxMessageLength)
    throw new RangeError(`Cannot encode OPEN: ${headerLength + body.length} octets, above the maximum of ${maxMessageLength}`);
  return encodeFrame(MessageType.open, body.finish());
}

/**
 * Decodes the body of an OPEN in both forms of its optional parameters. Whether the AS number and the identifier are those of the peer that
 * was expected is left to the session, and so is what capabilities say together.
 * @throws {NotificationError} of RFC 4271, section 6.2: Unsupported Version Number (2/1) with the version to use, Bad BGP Identifier (2/3)
 *   for 0 (RFC 6286), Unsupported Optional Parameter (2/4), Unacceptable Hold Time (2/6) for 1 and 2 s, Unspecific (2/0) for what is malformed
 */
export function decodeOpen(body: Uint8Array): Open {
  const malformed = (found: string) => openError(unspecific, found);
  const reader = new Reader(body, malformed);
  const version = reader.u8();
  if (version !== bgpVersion)
    throw openError(OpenMessageError.unsupportedVersionNumber, `its version is ${version}, wanted ${bgpVersion}`, [
      0,
      bgpVersion,
    ]);
  const asn = reader.u16();
  const holdTimeSeconds = reader.u16();
  if (holdTimeSeconds === 1 || holdTimeSeconds === 2)
    throw openError(OpenMessageError.unacceptableHoldTime, `its hold time is ${holdTimeSeconds} s, wanted 0, or at least 3 s`);
  const routerId = new Address("IPv4", BigInt(reader.u32()));
  if (routerId.value === 0n) throw openError(OpenMessageError.badBgpIdentifier, "its BGP identifier is 0.0.0.0");
  const capabilities = decodeParameters(reader.u8(), reader.rest(), malformed);
  return { type: "open", version, asn, holdTimeSeconds, routerId, capabilities };
}

function decodeParameters(length: number, octets: Uint8Array, malformed: (found: string) => Error): Capability[] {
  const reader = new Reader(octets, malformed);
  const extended = length > 0 && octets[0] === extendedParameters;
  if (extended) reader.take(1);
  const announced = extended ? reader.u16() : length;
  if (announced !== reader.remaining)
    throw malformed(`its optional parameters are said to be ${announced} octets and are ${reader.remaining}`);
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    const value = reader.take(extended ? reader.u16() : reader.u8());
    if (type !== capabilitiesParameter)
      throw openError(OpenMessageError.unsupportedOptionalParameter, `it has an optional parameter of type ${type}`);
    capabilities.push(...decodeCapabilities(value, malformed));
  }
  return capabilities;
}

function openError(subcode: number, found: string, data: readonly number[] = []): NotificationError {
  const { openMessage } = NotificationCode;
  return new NotificationError(openMessage, subcode, `Cannot decode OPEN: ${found}`, Uint8Array.from(data));
}
