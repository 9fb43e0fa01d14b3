import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { App } from "./App";
import { price } from "./money";

const boots = { id: 1, name: "Boots", description: "Warm.", price_cents: 12900, stock: 3 };
const soldOut = { id: 2, name: "Map", description: "", price_cents: 990, stock: 0 };

afterEach(cleanup);

function shop(answers: Record<string, () => Response>) {
  vi.spyOn(globalThis, "fetch").mockImplementation(async (path, request) => {
    const answer = answers[`${request?.method ?? "GET"} ${String(path)}`];
    if (!answer) throw new Error(`unexpected request for ${String(path)}`);
    return answer();
  });
}

function order(name: string) {
  fireEvent.change(screen.getByLabelText("Your name"), { target: { value: name } });
  fireEvent.change(screen.getByLabelText("Quantity"), { target: { value: "2" } });
  fireEvent.submit(screen.getByRole("form"));
}

test("prices are shown in euros", () => {
  expect(price(12900)).toBe("€129.00");
});

test("what is sold out cannot be ordered", async () => {
  shop({ "GET /api/products": () => Response.json([boots, soldOut]) });
  render(<App />);

  const button = await screen.findByRole("button", { name: "Order Map" });

  expect(button).toHaveProperty("disabled", true);
});

test("an order is placed and confirmed", async () => {
  shop({
    "GET /api/products": () => Response.json([boots]),
    "POST /api/orders": () => Response.json({ id: 7, customer: "Ada", total_cents: 25800 }),
  });
  render(<App />);

  fireEvent.click(await screen.findByRole("button", { name: "Order Boots" }));
  order("Ada");

  expect((await screen.findByRole("status")).textContent).toBe("Order 7 placed, €258.00.");
});

test("a refused order says why and keeps the form", async () => {
  shop({
    "GET /api/products": () => Response.json([boots]),
    "POST /api/orders": () => Response.json({ detail: "out of stock" }, { status: 409 }),
  });
  render(<App />);

  fireEvent.click(await screen.findByRole("button", { name: "Order Boots" }));
  order("Ada");

  expect((await screen.findByRole("alert")).textContent).toBe("out of stock");
  expect(screen.getByRole("form")).toBeTruthy();
});

test("an unreachable shop is said", async () => {
  shop({});
  render(<App />);

  expect((await screen.findByRole("alert")).textContent).toContain("cannot be reached");
});
