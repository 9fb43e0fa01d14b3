import { expect, test, vi } from "vitest";

import { ApiError, listProducts, placeOrder } from "./api";

function answer(status: number, body: string) {
  return vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response(body, { status }));
}

test("the products are those that the shop lists", async () => {
  answer(200, '[{"id": 1, "name": "Boots"}]');

  expect(await listProducts()).toEqual([{ id: 1, name: "Boots" }]);
});

test("an order is sent as JSON", async () => {
  const fetched = answer(201, '{"id": 7}');
  const order = { customer: "Ada", lines: [{ product_id: 1, quantity: 2 }] };

  await placeOrder(order);

  const [path, request] = fetched.mock.calls[0] ?? [];
  expect(path).toBe("/api/orders");
  expect(JSON.parse(String(request?.body))).toEqual(order);
});

test("a refusal carries the shop's own reason", async () => {
  answer(409, '{"detail": "not enough in stock"}');

  await expect(placeOrder({ customer: "Ada", lines: [] })).rejects.toEqual(
    new ApiError(409, "not enough in stock"),
  );
});

test.each(["<html>", '{"detail": [1]}', ""])("an answer of %j is an error with its status", async (body) => {
  answer(502, body);

  await expect(listProducts()).rejects.toThrow("the shop answered 502");
});
