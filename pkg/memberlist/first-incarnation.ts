const incarnationEpoch = Date.UTC(2020, 0, 1);
// Below the maximum of 32 bits, so that there is room to refute suspicions.
const maxFirstIncarnation = 0xffff_0000;

/**
 * The incarnation with which a life of this node begins: the seconds since 2020, so that captured messages of an earlier life are about a
 * lower incarnation, until 2156. A node whose clock is before 2020, because its battery is empty and it has not found the time yet, begins
 * with 1.
 */
export function incarnationAt(date: Date): number {
  const seconds = Math.floor((date.getTime() - incarnationEpoch) / 1000);
  return Math.min(Math.max(seconds, 1), maxFirstIncarnation);
}
