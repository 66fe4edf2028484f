/**
 * For `node --import`: properties try EXAMPLES times as many examples. fast-check's own settings can't lower a number that a property names, so its
 * `assert` is replaced where a test imports it.
 */
import { registerHooks } from "node:module";

const share = Number(process.env.EXAMPLES);
const source = `import fc from "fast-check";
export * from "fast-check";
export default Object.create(fc, { assert: { value: (property, options = {}) =>
  fc.assert(property, { ...options, numRuns: Math.ceil((options.numRuns ?? 100) * ${share}) }) } });`;
const replacement = `data:text/javascript,${encodeURIComponent(source)}`;

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier !== "fast-check") return next(specifier, context);
    if (context.parentURL !== replacement) return { url: replacement, format: "module", shortCircuit: true };
    return next(specifier, { ...context, parentURL: import.meta.url });
  },
});
