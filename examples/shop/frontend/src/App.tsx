import { useEffect, useState } from "react";

import { listProducts, type Order, type Product } from "./api";
import { price } from "./money";
import { OrderForm } from "./OrderForm";
import { ProductList } from "./ProductList";

export function App() {
  const [products, setProducts] = useState<Product[]>();
  const [problem, setProblem] = useState("");
  const [chosen, setChosen] = useState<Product>();
  const [ordered, setOrdered] = useState<Order>();

  useEffect(() => {
    const asked = new AbortController();
    listProducts(asked.signal)
      .then(setProducts)
      .catch((error: Error) => {
        if (!asked.signal.aborted) setProblem(error.message);
      });
    return () => asked.abort();
    // Asked again after each order: the stock has changed.
  }, [ordered]);

  function finish(order: Order) {
    setChosen(undefined);
    setOrdered(order);
  }

  return (
    <main>
      <h1>Shop</h1>
      {problem && <p role="alert">The shop cannot be reached: {problem}</p>}
      {ordered && (
        <p role="status">
          Order {ordered.id} placed, {price(ordered.total_cents)}.
        </p>
      )}
      {products && <ProductList products={products} onChoose={setChosen} />}
      {chosen && <OrderForm key={chosen.id} product={chosen} onOrdered={finish} />}
    </main>
  );
}
