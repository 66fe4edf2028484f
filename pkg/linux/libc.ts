import { constants } from "node:os";
import { getSystemErrorMessage, getSystemErrorName } from "node:util";
import koffi from "koffi";

/** Node itself, and the libc that it runs with, glibc or musl. */
export const library = koffi.load(null);
const filterProgram = koffi.struct({ len: "uint16_t", filter: "void *" }); // struct sock_fprog

/** The system calls in use, as C declares them (`ssize_t` is called `intptr_t` here). Buffers are passed without a copy. */
export const libc = {
  socket: library.func("int socket(int domain, int type, int protocol)"),
  bind: library.func("int bind(int fd, void *address, uint32_t length)"),
  listen: library.func("int listen(int fd, int backlog)"),
  connect: library.func("int connect(int fd, void *address, uint32_t length)"),
  accept4: library.func("int accept4(int fd, void *address, void *addressLength, int flags)"),
  getsockname: library.func("int getsockname(int fd, void *address, void *addressLength)"),
  setsockopt: library.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)"),
  attachFilter: library.func("setsockopt", "int", ["int", "int", "int", koffi.pointer(filterProgram), "uint32_t"]),
  getsockopt: library.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
  send: library.func("intptr_t send(int fd, void *bytes, size_t length, int flags)"),
  sendmmsg: library.func("int sendmmsg(int fd, void *messages, uint count, int flags)"),
  recvmmsg: library.func("int recvmmsg(int fd, void *messages, uint count, int flags, void *timeout)"),
  recvfrom: library.func("intptr_t recvfrom(int fd, void *bytes, size_t length, int flags, void *address, void *addressLength)"),
  sendto: library.func("intptr_t sendto(int fd, void *bytes, size_t length, int flags, void *address, uint32_t addressLength)"),
  ppoll: library.func("int ppoll(void *fds, ulong count, void *timeout, void *signals)"),
  // sched_setscheduler and sched_getscheduler, which musl has no functions for.
  setScheduler: library.func("syscall", "intptr_t", ["intptr_t", "int", "int", "void *"]),
  getScheduler: library.func("syscall", "intptr_t", ["intptr_t", "int"]),
  setPriority: library.func("int setpriority(int which, uint who, int priority)"),
  interfaceIndex: library.func("uint if_nametoindex(const char *name)"),
  interfaceName: library.func("void *if_indextoname(uint index, void *name)"),
  eventfd: library.func("int eventfd(uint32_t initial, int flags)"),
  read: library.func("intptr_t read(int fd, void *bytes, size_t length)"),
  write: library.func("intptr_t write(int fd, void *bytes, size_t length)"),
  close: library.func("int close(int fd)"),
};

const filterProgramSize = koffi.sizeof(filterProgram);
const optionAttachFilter = 26; // SO_ATTACH_FILTER
const optionAttachChoice = 51; // SO_ATTACH_REUSEPORT_CBPF
const optionDetachFilter = 27; // SO_DETACH_FILTER
export const { EAGAIN, EINTR } = constants.errno;
export const flagNonBlocking = 0o4000; // SOCK_NONBLOCK and EFD_NONBLOCK.
export const flagCloseOnExec = 0o2000000; // SOCK_CLOEXEC and EFD_CLOEXEC.
export const levelSocket = 1; // SOL_SOCKET
export const optionReceiveBuffer = 8; // SO_RCVBUF

/** `result`, unless it says that the call failed. `attempted` completes "Cannot …". @throws {SystemCallError} */
export function check(call: string, attempted: string, result: number): number {
  if (result < 0) throw failure(call, attempted);
  return result;
}

/** `filter` is a classic BPF program. @throws {SystemCallError} EPERM for a TCP socket without CAP_NET_ADMIN, since Linux 6.18 */
export function attachFilter(fd: number, filter: Uint8Array, attempted: string): void {
  attach(fd, optionAttachFilter, filter, attempted);
}

/** Has `filter`, a classic BPF program, choose one of the sockets that share a port (SO_REUSEPORT). @throws {SystemCallError} */
export function attachChoice(fd: number, filter: Uint8Array, attempted: string): void {
  attach(fd, optionAttachChoice, filter, attempted);
}

function attach(fd: number, option: number, filter: Uint8Array, attempted: string): void {
  const program = { len: filter.length / 8, filter };
  check("setsockopt", attempted, libc.attachFilter(fd, levelSocket, option, program, filterProgramSize));
}

/** Takes a filter away; does nothing without a filter. @throws {SystemCallError} */
export function detachFilter(fd: number, attempted: string): void {
  if (libc.setsockopt(fd, levelSocket, optionDetachFilter, Int32Array.of(0), 4) === 0) return;
  const error = failure("setsockopt", attempted);
  if (error.code !== "ENOENT") throw error;
}

/** Octets that a socket's filters may have, `net.core.optmem_max`: since Linux 6.8, and before. */
const optionMemories = { now: 131_072, before: 20_480 } as const;

/** Has the kernel take a program, a shorter one where it has no room for the longer one. @throws {SystemCallError} */
export function withinRoom(attach: (optionMemory: number) => void): void {
  try {
    attach(optionMemories.now);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code !== "ENOMEM") throw error;
    attach(optionMemories.before);
  }
}

/** Why the last call failed. `attempted` completes "Cannot …". */
export function failure(call: string, attempted: string): SystemCallError {
  return new SystemCallError(call, koffi.errno(), attempted);
}

/** Like `check` for a call that need not wait: undefined when there is nothing to do now (EAGAIN). @throws {SystemCallError} */
export function checkNonBlocking(call: string, attempted: string, result: number): number | undefined {
  if (result >= 0) return result;
  const errno = koffi.errno();
  if (errno === EAGAIN || errno === EINTR) return undefined; // Interrupted: poll says again that it is ready.
  throw new SystemCallError(call, errno, attempted);
}

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
