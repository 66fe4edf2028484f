import type { Millis } from "#pkg/clock";

/**
 * The API server refused a request, or could not be asked. `status` is that of HTTP, 0 where no answer arrived. `reason` is the
 * `reason` of the Kubernetes Status (`NotFound`, `Conflict`, `Expired`, …), or one of ours: `Unreachable` (no whole answer),
 * `Malformed` (an answer that is not what was asked for), `Closed` (the cluster was disposed). It is empty where the refusal gave none.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly reason: string;
  /** The wait that the server asked for in `Retry-After`. */
  readonly retryAfterMs: Millis | undefined;

  constructor(
    message: string,
    status: number,
    reason: string,
    options: ErrorOptions & { retryAfterMs?: Millis | undefined } = {},
  ) {
    super(message, options);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The server no longer has the versions asked for. */
export function isExpired(error: ApiError): boolean {
  return error.status === 410 || error.reason === "Expired";
}

/** There are no usable credentials; the message lists the attempts and their results. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

/** The answer, or undefined when the server refuses with `status`. */
export async function unless<T>(status: number, call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isStatus(error, status)) return undefined;
    throw error;
  }
}

/** The server cannot select by the field: Kubernetes selects Services by type from 1.31 on. */
export function isUnknownField(error: ApiError): boolean {
  return error.status === 400 && /field label not supported|not a known field selector/i.test(error.message);
}

/**
 * The server cannot send all objects by a watch: it says so (Kubernetes from 1.19 on; also 1.33 after an upgrade from 1.32), or does not say
 * where they end, which one that has sent some does when it is slow.
 */
export function isNoStream(error: ApiError, hasStreamed: boolean): boolean {
  const isRefused =
    (error.status === 400 || error.status === 422) && /sendInitialEvents|resourceVersionMatch/.test(error.message);
  const { cause } = error;
  const isSilent = (cause instanceof Error && cause.message === noEndOfList) || error.message === noEndOfList;
  return isRefused || (isSilent && !hasStreamed);
}

export const noEndOfList = "the watch does not say where the list of all objects ends";

/** The server cannot make anything of the version, for example because it lies in its future. */
export function isUnknownVersion(error: ApiError): boolean {
  return error.status === 400 || /too large resource version/i.test(error.message);
}
