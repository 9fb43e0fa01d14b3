"""`shop serve`, `shop migrate`, `shop seed`, `shop revision`, `shop downgrade`."""

import argparse

import uvicorn
from sqlalchemy.orm import Session

from shop.app import create_app
from shop.database import connect, downgrade, migrate, revision
from shop.logs import configure_logs
from shop.settings import Settings, read_settings
from shop.store import seed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shop", description="A small shop over HTTP.")
    parser.add_argument("action", choices=("serve", "migrate", "seed", "revision", "downgrade"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--to", default="base", help="revision to go back to")
    chosen = parser.parse_args(arguments)
    settings = read_settings()
    configure_logs(settings.release)
    match chosen.action:
        case "migrate":
            migrate(settings.database_url)
        case "downgrade":
            downgrade(settings.database_url, chosen.to)
        case "revision":
            print(revision(settings.database_url))
        case "seed":
            _seed(settings)
        case _:
            _serve(settings, chosen.host, chosen.port)


def _seed(settings: Settings) -> None:
    with Session(connect(settings.database_url)) as session:
        print(f"{seed(session)} products added")


def _serve(settings: Settings, host: str, port: int) -> None:
    # Uvicorn's own log settings would replace the JSON lines; the middleware logs requests.
    uvicorn.run(create_app(settings), host=host, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
