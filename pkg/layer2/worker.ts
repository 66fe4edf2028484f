/** The thread that answers: it blocks in `poll`, never in its event loop. */
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomePrompt, becomeUrgent } from "#pkg/linux";
import { mainThread, trimHeap } from "#pkg/threads";
import { AnswerLoop } from "./loop.ts";

// Where it may not, it answers as soon as the machine lets it.
const setPriority = (isFlooded: boolean): void => void (isFlooded ? becomeUrgent() : becomePrompt());
using loop = new AnswerLoop(mainThread(), new SystemClock(), systemRandom, setPriority);
trimHeap();
setPriority(false);
loop.run();
