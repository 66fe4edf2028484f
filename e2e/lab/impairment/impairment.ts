import type { Millis, Random } from "#pkg/clock";
import { completeChecksum, offloadHeaderLength } from "#pkg/linux/testing";

/** Effects of a bad cable on frames, in each direction, as in netem(8). Absent: no such effect. */
export interface Impairment {
  /** The same seed has the same chances. */
  readonly seed: number;
  /** Each frame waits for up to so long, so that some overtake others. */
  readonly delayMs?: Millis;
  /** Percent of the frames that wait for up to `maxLateMs`. */
  readonly latePercent?: number;
  /** Percent of the frames that are lost. */
  readonly lossPercent?: number;
  /** Percent of the frames that come twice; the second may be much later. */
  readonly duplicatePercent?: number;
  /** Percent of the frames in which one bit, anywhere, is changed. */
  readonly corruptPercent?: number;
}

/** The longest that a frame is late. */
export const maxLateMs: Millis = 3_000;

/** One frame that comes out where one came in. */
export interface Copy {
  readonly delay: Millis;
  readonly isCorrupt: boolean;
}

/** Copies of the next frame: none if it is lost, two if it comes twice. */
export function fateOf(impairment: Impairment, random: Random): Copy[] {
  const { delayMs = 0, latePercent = 0, lossPercent = 0, duplicatePercent = 0, corruptPercent = 0 } = impairment;
  const happens = (percent: number) => random() * 100 < percent;
  const copy = (): Copy => ({
    delay: happens(latePercent) ? random() * maxLateMs : random() * delayMs,
    isCorrupt: happens(corruptPercent),
  });
  if (happens(lossPercent)) return [];
  if (!happens(duplicatePercent)) return [copy()];
  const again = copy();
  return [copy(), { ...again, delay: again.delay + random() * (random() < 0.5 ? 10 : maxLateMs) }];
}

/**
 * The frame with one bit changed, as the next host gets it from broken memory in a switch: its checksum of IP, TCP or UDP no longer fits; ARP has none.
 * @param frame with its header of `openForWholeFrames` @returns undefined for a segment that is yet to be cut into frames
 */
export function corrupted(frame: Uint8Array, random: Random): Uint8Array | undefined {
  const changed = Uint8Array.from(frame);
  if (!completeChecksum(changed)) return undefined;
  const bit = Math.floor(random() * 8 * (changed.length - offloadHeaderLength));
  const at = offloadHeaderLength + (bit >> 3);
  changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
  return changed;
}
