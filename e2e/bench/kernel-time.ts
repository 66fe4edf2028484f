import koffi from "koffi";

const library = koffi.load(null);
const clockGetTime = library.func("int clock_gettime(int clock, void *time)");
const ioctl = library.func("int ioctl(int fd, ulong request, void *argument)");
const clockRealTime = 0; // CLOCK_REALTIME
const getStamp = 0x8907; // SIOCGSTAMPNS, of a 64-bit machine.
const time = new BigInt64Array(2); // struct timespec: seconds and nanoseconds

/** Microseconds by the clock that the kernel stamps packets with. */
export function kernelNow(): number {
  clockGetTime(clockRealTime, time);
  return microseconds();
}

/** Has the kernel note when packets arrive at the socket, from now on. */
export function stampArrivals(fd: number): void {
  ioctl(fd, getStamp, time); // There is no time stamp yet.
}

/** When the packet arrived that was last received from the socket, by `kernelNow`: without the time until this process ran again. */
export function arrivedAt(fd: number): number {
  if (ioctl(fd, getStamp, time) !== 0) throw new Error("Cannot find out when a packet arrived: the kernel has not noted it");
  return microseconds();
}

function microseconds(): number {
  const [seconds = 0n, nanoseconds = 0n] = time;
  return Number(seconds % 1_000_000n) * 1e6 + Number(nanoseconds) / 1e3;
}
