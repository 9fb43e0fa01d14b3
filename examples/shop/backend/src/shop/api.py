"""The routes under /api."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, HTTPException, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop import store
from shop.cache import ProductCache
from shop.models import Order, Product

router = APIRouter(prefix="/api")
MAX_COUNT = 1_000_000


class NewProduct(BaseModel):
    name: str = Field(min_length=1, max_length=120)
    description: str = Field(default="", max_length=1000)
    price_cents: int = Field(ge=0, le=100_000_000)
    stock: int = Field(ge=0, le=MAX_COUNT)


class ShownProduct(NewProduct):
    model_config = ConfigDict(from_attributes=True)

    id: int


class NewLine(BaseModel):
    product_id: int
    quantity: int = Field(ge=1, le=MAX_COUNT)


class NewOrder(BaseModel):
    customer: str = Field(min_length=1, max_length=200)
    lines: list[NewLine] = Field(min_length=1, max_length=100)


class ShownLine(NewLine):
    model_config = ConfigDict(from_attributes=True)

    unit_price_cents: int


class ShownOrder(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    customer: str
    created_at: datetime
    total_cents: int
    lines: list[ShownLine]


def session_of(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as session:
        yield session


def cache_of(request: Request) -> ProductCache:
    return cast("ProductCache", request.app.state.cache)


Database = Annotated[Session, Depends(session_of)]
Cache = Annotated[ProductCache, Depends(cache_of)]


@router.get("/products", response_model=list[ShownProduct])
def list_products(session: Database, cache: Cache) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        found = store.list_products(session)
        return [ShownProduct.model_validate(product).model_dump() for product in found]

    return cache.products(read)


@router.post("/products", response_model=ShownProduct, status_code=status.HTTP_201_CREATED)
def add_product(new: NewProduct, session: Database, cache: Cache) -> Product:
    product = Product(**new.model_dump())
    session.add(product)
    try:
        session.commit()
    except IntegrityError as error:
        raise HTTPException(
            status.HTTP_409_CONFLICT, f"a product named {new.name!r} exists"
        ) from error
    cache.forget()
    return product


@router.get("/products/{product_id}", response_model=ShownProduct)
def get_product(product_id: int, session: Database) -> Product:
    product = session.get(Product, product_id)
    if product is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"no product {product_id}")
    return product


@router.get("/orders", response_model=list[ShownOrder])
def list_orders(
    session: Database, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Sequence[Order]:
    return store.list_orders(session, limit=limit)


@router.post("/orders", response_model=ShownOrder, status_code=status.HTTP_201_CREATED)
def place_order(new: NewOrder, session: Database, cache: Cache) -> Order:
    quantities: dict[int, int] = {}
    for line in new.lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    try:
        order = store.place_order(session, new.customer, quantities)
    except store.UnknownProductError as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from error
    except store.OutOfStockError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error)) from error
    cache.forget()
    return order


@router.get("/orders/{order_id}", response_model=ShownOrder)
def get_order(order_id: int, session: Database) -> Order:
    order = session.get(Order, order_id)
    if order is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"no order {order_id}")
    return order
