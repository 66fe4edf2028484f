import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByKind, dispatchByKind } from "#pkg/collections";

type Shape =
  | { readonly kind: "circle"; readonly radius: number }
  | { readonly kind: "square" | "cube"; readonly side: number }
  | { readonly kind: "point" };

const areas: ByKind<Shape, "kind", [scale: number], number> = {
  circle: ({ radius }, scale) => Math.round(Math.PI * radius ** 2 * scale),
  square: ({ side }, scale) => side ** 2 * scale,
  cube: ({ side }, scale) => 6 * side ** 2 * scale,
  point: () => 0,
};

test("dispatchByKind: a value goes to what its table has for its kind, with all arguments", () => {
  const shapes: readonly Shape[] = [
    { kind: "circle", radius: 1 },
    { kind: "square", side: 2 },
    { kind: "cube", side: 1 },
    { kind: "point" },
  ];
  assert.deepEqual(
    shapes.map((shape) => dispatchByKind(areas, "kind", shape, 2)),
    [6, 8, 12, 0],
  );
});
