import { getSystemErrorMessage, getSystemErrorName } from "node:util";

/** A system call failed. `code` is the name of `errno`, such as `EPERM`; act on that, never on the message. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly call: string;
  readonly errno: number;
  readonly code: string;

  /** `attempted` completes "Cannot …". */
  constructor(call: string, errno: number, attempted: string) {
    const code = getSystemErrorName(-errno);
    super(`Cannot ${attempted}: ${call}: ${code}, ${getSystemErrorMessage(-errno)}`);
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}
