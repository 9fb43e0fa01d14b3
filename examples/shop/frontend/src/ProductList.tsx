import type { Product } from "./api";
import { price } from "./money";

interface Props {
  products: Product[];
  onChoose: (product: Product) => void;
}

export function ProductList({ products, onChoose }: Props) {
  if (products.length === 0) return <p>Nothing for sale today.</p>;
  return (
    <ul className="products">
      {products.map((product) => (
        <li key={product.id}>
          <h2>{product.name}</h2>
          <p>{product.description}</p>
          <p>
            {price(product.price_cents)} · {product.stock} left
          </p>
          <button type="button" disabled={product.stock === 0} onClick={() => onChoose(product)}>
            Order {product.name}
          </button>
        </li>
      ))}
    </ul>
  );
}
