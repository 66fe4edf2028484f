/**
 * For `node --import`: has properties tried with the same examples in each run, so that no chance decides whether a change lands. A test file
 * that is run by itself tries others each time, and `PROPERTY_SEED` names others here; `make fuzz` looks for new ones.
 */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.PROPERTY_SEED ?? 1) });
