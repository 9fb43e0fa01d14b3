/** What the shop's HTTP interface answers, and the calls this page makes. */

export interface Product {
  id: number;
  name: string;
  description: string;
  price_cents: number;
  stock: number;
}

export interface Order {
  id: number;
  customer: string;
  total_cents: number;
}

export interface NewOrder {
  customer: string;
  lines: { product_id: number; quantity: number }[];
}

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
  }
}

export async function listProducts(signal?: AbortSignal): Promise<Product[]> {
  return read<Product[]>(await fetch("/api/products", { signal }));
}

export async function placeOrder(order: NewOrder): Promise<Order> {
  const response = await fetch("/api/orders", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(order),
  });
  return read<Order>(response);
}

async function read<Answer>(response: Response): Promise<Answer> {
  if (!response.ok) throw new ApiError(response.status, await detailOf(response));
  return (await response.json()) as Answer;
}

async function detailOf(response: Response): Promise<string> {
  const unexplained = `the shop answered ${response.status}`;
  try {
    const body = (await response.json()) as { detail?: unknown };
    return typeof body.detail === "string" ? body.detail : unexplained;
  } catch {
    return unexplained;
  }
}
