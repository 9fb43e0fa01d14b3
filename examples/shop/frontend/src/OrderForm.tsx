import { useState, type FormEvent } from "react";

import { placeOrder, type Order, type Product } from "./api";
import { price } from "./money";

interface Props {
  product: Product;
  onOrdered: (order: Order) => void;
}

export function OrderForm({ product, onOrdered }: Props) {
  const [customer, setCustomer] = useState("");
  const [quantity, setQuantity] = useState(1);
  const [problem, setProblem] = useState("");
  const [isSending, setIsSending] = useState(false);

  async function send(event: FormEvent) {
    event.preventDefault();
    setProblem("");
    setIsSending(true);
    try {
      onOrdered(await placeOrder({ customer, lines: [{ product_id: product.id, quantity }] }));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setIsSending(false);
    }
  }

  return (
    <form onSubmit={send} aria-label={`Order ${product.name}`}>
      <label>
        Your name
        <input value={customer} required onChange={(event) => setCustomer(event.target.value)} />
      </label>
      <label>
        Quantity
        <input
          type="number"
          min={1}
          max={product.stock}
          value={quantity}
          onChange={(event) => setQuantity(event.target.valueAsNumber || 1)}
        />
      </label>
      <p>Total {price(quantity * product.price_cents)}</p>
      {problem && <p role="alert">{problem}</p>}
      <button type="submit" disabled={isSending}>
        Place order
      </button>
    </form>
  );
}
