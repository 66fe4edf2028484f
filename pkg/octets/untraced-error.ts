/**
 * An error in a peer's message. It has no stack trace, which would cost more than all of a message, and the peer decides how often that
 * happens.
 */
export class UntracedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = stackTraceLimit;
  }
}
