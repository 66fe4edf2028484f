/** For tests of checkpoints that threads make. */
import type { Checkpoints } from "#pkg/checkpoints";
import { type Random, seededRandom } from "#pkg/clock";
import { Recorder } from "#pkg/recorder";

/** A small recorder, and `fill`, which calls `record` until so many checkpoints were made; nothing is recorded while one is. */
export function smallRecorder(checkpoints: Checkpoints) {
  let making: Promise<void> | undefined;
  const recorder = new Recorder({
    maxBytes: 512 << 10,
    makeCheckpoint: (segment, done) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      making = promise;
      checkpoints.make(segment, (made) => {
        done(made);
        resolve();
      });
    },
  });
  const fill = async (count: number, record: () => void) => {
    for (let made = 0; made < count; ) {
      record();
      if (making === undefined) continue;
      const begun = making;
      making = undefined;
      await begun;
      made++;
    }
  };
  return { recorder, fill };
}

const random: Random = seededRandom(1);

/** A long text that does not get smaller. */
export function noise(): string {
  return Array.from({ length: 8_000 }, () => Math.trunc(random() * 65_536).toString(36)).join("");
}
