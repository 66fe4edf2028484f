/**
 * With `--enable-source-maps` the first stack that is formatted parses the map of the whole program: up to 90 ms and 15 MB, and Node formats
 * one for each socket that breaks while it is written to. From now on stacks name places in the bundle.
 */
export function deferSourceMaps(): void {
  Error.prepareStackTrace = (error, sites) =>
    [Error.prototype.toString.call(error), ...sites.map((site) => `    at ${site}`)].join("\n");
}

/** Stacks that have not been formatted yet name places in the source again. */
export function useSourceMaps(): void {
  Reflect.deleteProperty(Error, "prepareStackTrace");
}
