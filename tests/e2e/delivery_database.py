"""The database commands of a delivered target: a schema of one number in SQLite.

`delivery_database.py migrate TO | revision | downgrade TO`, with the database's address in DATABASE_URL. To 0003 the
notes of 0001 go. A migration
fails half-way, after it has done some of its work, while a file called `broken` lies beside the database.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

FILE = Path(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))


def revision(database: sqlite3.Connection) -> str:
    database.execute("CREATE TABLE IF NOT EXISTS schema (revision TEXT)")
    row = database.execute("SELECT revision FROM schema").fetchone()
    return str(row[0]) if row else ""


def put(database: sqlite3.Connection, wanted: str) -> None:
    database.execute("DELETE FROM schema")
    database.execute("INSERT INTO schema VALUES (?)", (wanted,))
    database.commit()


def main(words: list[str]) -> int:
    with closing(sqlite3.connect(FILE)) as database:
        match words:
            case ["migrate", wanted]:
                database.execute(f"CREATE TABLE IF NOT EXISTS notes_{wanted} (text TEXT)")
                if wanted == "0003":
                    database.execute("DROP TABLE notes_0001")
                put(database, wanted)
                if (FILE.parent / "broken").exists():
                    sys.stderr.write("the migration broke half-way\n")
                    return 1
            case ["downgrade", wanted]:
                put(database, wanted)
            case _:
                sys.stdout.write(f"{revision(database)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
