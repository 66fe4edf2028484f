/** How many examples a test tries, as a share of all of them: less than 1 in `make quick`, which sets it. */
const share = Number(process.env.EXAMPLES ?? 1);

/** Numbers from 1 to `count`, or to a share of it: each draws another example of a test. */
export function seeds(count: number): number[] {
  return Array.from({ length: Math.ceil(count * share) }, (_, index) => index + 1);
}

/** Options of a test that takes a second or more. */
export const slow = { skip: share < 1 && "it takes a second: make test has it" };
